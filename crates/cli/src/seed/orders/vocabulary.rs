//! Vocabulary of the sample orders. Part numbers have the form of real ones; the shops are fictitious.

/// Parts with similar numbers: `#` stands for a digit.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) number: &'static str,
    pub(super) description: &'static str,
    /// The lowest and the highest price of a repair in dollars.
    pub(super) price: (i64, i64),
}

const fn part(number: &'static str, description: &'static str, price: (i64, i64)) -> Part {
    Part { number, description, price }
}

pub(super) const PARTS: &[Part] = &[
    part("65-4#####-#", "MAIN LANDING GEAR ACTUATOR", (4_800, 16_500)),
    part("65-7####-##", "FLAP TRANSMISSION ASSEMBLY", (3_900, 12_000)),
    part("65C2####-#", "SPOILER ACTUATOR", (2_600, 8_400)),
    part("69-3####-#", "RUDDER POWER CONTROL UNIT", (9_500, 31_000)),
    part("65-6####-##", "NOSE WHEEL STEERING METERING VALVE", (2_200, 7_800)),
    part("10-6####-#", "CABIN PRESSURE OUTFLOW VALVE", (3_100, 9_900)),
    part("10-3####-##", "HYDRAULIC SHUTOFF VALVE", (900, 3_600)),
    part("60B####-##", "AILERON TRIM ACTUATOR", (1_900, 6_200)),
    part("2-147#-#", "MAIN WHEEL BRAKE ASSEMBLY", (5_500, 18_000)),
    part("2-160#-#", "NOSE WHEEL ASSEMBLY", (1_200, 3_900)),
    part("2601###-#", "MAIN WHEEL ASSEMBLY", (1_500, 5_200)),
    part("2-72##-#", "ANTISKID CONTROL VALVE", (1_400, 4_700)),
    part("BACR12B##-##", "RELAY, 3PDT 28 VDC", (180, 620)),
    part("BACC63BV##B##SN", "CONNECTOR HARNESS, ENGINE PYLON", (450, 2_300)),
    part("BACV10AC##", "CHECK VALVE, PNEUMATIC", (320, 1_400)),
    part("BACS11F##", "THERMAL SWITCH", (210, 880)),
    part("MS24166-D#", "RELAY, POWER CONTACTOR", (240, 980)),
    part("MS28034-#", "INDICATOR, EXHAUST GAS TEMPERATURE", (650, 2_400)),
    part("MS25237-###", "LAMP ASSEMBLY, ANNUNCIATOR", (120, 420)),
    part("MS21025-##", "NUT, MAIN GEAR TRUNNION, NDT AND REPLATE", (150, 560)),
    part("NAS1305-##H", "BOLT, ACTUATOR ATTACH, NDT AND REPLATE", (110, 480)),
    part("NAS6608D##", "BOLT, FLAP TRACK, NDT AND REPLATE", (130, 520)),
    part("AN5837-#", "INDICATOR, TURN AND SLIP", (380, 1_600)),
    part("AN5525-#", "TRANSMITTER, OIL PRESSURE", (290, 1_150)),
    part("AN6203-#", "ACCUMULATOR, HYDRAULIC", (700, 2_900)),
    part("AN4101-#", "FUEL BOOST PUMP", (950, 3_400)),
    part("568-1-2####-#", "FUEL PUMP, ENGINE DRIVEN", (6_200, 21_000)),
    part("60-847##-#", "FUEL BOOST PUMP", (1_800, 6_500)),
    part("762###-#", "HYDROMECHANICAL FUEL CONTROL", (14_000, 58_000)),
    part("PV3-240-##", "HYDRAULIC PUMP, ENGINE DRIVEN", (3_300, 11_500)),
    part("66###-0#", "ELECTRIC MOTOR DRIVEN HYDRAULIC PUMP", (2_800, 9_200)),
    part("23048-0##", "STARTER GENERATOR", (2_400, 8_900)),
    part("23081-0##A", "STARTER GENERATOR", (2_600, 9_400)),
    part("73####", "INTEGRATED DRIVE GENERATOR (IDG)", (18_000, 72_000)),
    part("976J###-#", "GENERATOR CONTROL UNIT", (2_100, 7_300)),
    part("3505###-#", "AIR TURBINE STARTER", (5_200, 17_500)),
    part("107###-#-#", "PRECOOLER CONTROL VALVE", (2_300, 8_100)),
    part("321####-#", "ENGINE BLEED AIR REGULATOR VALVE", (3_600, 12_800)),
    part("979###-#", "PRESSURE REGULATING SHUTOFF VALVE", (2_900, 10_400)),
    part("18####-#", "HEAT EXCHANGER, AIR CONDITIONING PACK", (3_400, 13_000)),
    part("220####-#", "AIR CYCLE MACHINE", (7_800, 26_000)),
    part("851HJ-#", "PITOT PROBE", (850, 3_100)),
    part("0851KB#", "PITOT STATIC PROBE, HEATED", (1_250, 4_400)),
    part("102BW#AG", "TOTAL AIR TEMPERATURE PROBE", (780, 2_700)),
    part("0861FL#", "ANGLE OF ATTACK SENSOR", (2_000, 6_900)),
    part("622-5###-0##", "VHF COMMUNICATION TRANSCEIVER", (900, 3_800)),
    part("822-0###-1##", "AIR DATA COMPUTER", (4_100, 15_500)),
    part("622-8###-00#", "ATC TRANSPONDER, MODE S", (1_600, 5_900)),
    part("066-500##-####", "TCAS PROCESSOR", (3_800, 14_200)),
    part("2041###-####", "WEATHER RADAR RECEIVER TRANSMITTER", (4_600, 17_000)),
    part("4082###-9##", "DISPLAY UNIT, EFIS", (3_900, 15_800)),
    part("HG10##BD0#", "INERTIAL REFERENCE UNIT", (8_800, 34_000)),
    part("980-4###-0##", "COCKPIT VOICE RECORDER", (1_900, 6_400)),
    part("S2#3T###-#", "FIRE EXTINGUISHER BOTTLE, ENGINE", (420, 1_300)),
    part("80####-0#", "OXYGEN MASK REGULATOR", (350, 1_250)),
    part("23-1###-##", "STICK SHAKER MOTOR", (880, 2_900)),
    part("3-16##-#", "WINDSHIELD WIPER MOTOR CONVERTER", (640, 2_200)),
    part("5913###-5##", "MAIN GEAR DOOR ACTUATOR", (2_700, 9_700)),
    part("114N####-#", "THRUST REVERSER SLEEVE ACTUATOR", (4_300, 15_000)),
    part("3289###-#", "APU FUEL CONTROL UNIT", (5_700, 19_500)),
];

pub(super) const SHOPS: &[&str] = &[
    "Aerocrest Accessories Inc.",
    "Atlantic Rotable Services",
    "Bayline Hydraulics & Actuation",
    "Blue Heron Avionics",
    "Caribe Component Repair",
    "Cascade Aero Accessories",
    "Cordova Fuel Systems LLC",
    "Delmar Instrument Overhaul",
    "Everglade Turbine Components",
    "Flightpath Avionics Support",
    "Gulfwind Landing Gear",
    "Halyard Pneumatics",
    "Keystone Wheel & Brake",
    "La Coruña Aeroservicios S.L.",
    "Meridian Air Data",
    "Northgate Generator Overhaul",
    "O'Leary Aircraft Instruments",
    "Palmetto Accessory Center",
    "Redbank Electromechanical",
    "Seville Aviation Repairs",
    "Skyforge Heat Transfer",
    "Summit Oxygen & Safety",
    "Tamarac Jet Accessories",
    "Tri-County Gyro",
    "Westmoor Aerospace MRO",
];

pub(super) const WORK: &[&str] = &[
    "OVERHAUL",
    "REPAIR",
    "INSPECT AND TEST",
    "TEST AND CERTIFY",
    "BENCH CHECK",
    "REPAIR, DUAL RELEASE 8130-3",
    "OVERHAUL PER CMM, DUAL RELEASE 8130-3 / EASA FORM 1",
    "EVALUATE AND QUOTE",
    "MODIFY PER SERVICE BULLETIN AND RECERTIFY",
];

/// Terms of payment with their weights.
pub(super) const TERMS: &[(&str, u32)] = &[
    ("NET 30", 40),
    ("COD", 20),
    ("CREDIT CARD", 15),
    ("NET 15", 8),
    ("WIRE", 8),
    ("NET 45", 4),
    ("PREPAID", 3),
    ("NET 60", 2),
];

pub(super) const NET_TERMS: &[(&str, u32)] = &[("NET 30", 60), ("NET 15", 18), ("NET 45", 12), ("NET 60", 10)];

#[derive(Clone, Copy)]
pub(super) struct Status {
    pub(super) name: &'static str,
    pub(super) weight: u32,
    /// The shop's own status for the order.
    pub(super) shop_status: &'static str,
}

const fn status(name: &'static str, weight: u32, shop_status: &'static str) -> Status {
    Status { name, weight, shop_status }
}

pub(super) const ACTIVE_STATUSES: &[Status] = &[
    status("WAITING QUOTE", 30, "In Evaluation"),
    status("APPROVED", 16, "Approval Received"),
    status("BEING REPAIRED", 30, "In Progress"),
    status("WAITING PARTS", 6, "Parts On Order"),
    status("CURRENTLY BEING SHIPPED", 5, "Shipped"),
    status("SHIPPING TO SHOP", 5, "Not Received"),
    status("SHIPPING FROM SHOP", 6, "Shipped"),
    status("READY FOR PICK UP", 2, "Completed"),
];

pub(super) const PAID_STATUSES: &[Status] = &[
    status("PAID", 70, "Completed"),
    status("APPROVED >>>> PAID", 20, "Completed"),
    status("PAID, SHIPPING", 6, "Shipped"),
    status("PAID, RECEIVED", 4, "Completed"),
];

pub(super) const NET_STATUSES: &[Status] = &[
    status("APPROVED >>>> NET", 55, "Completed"),
    status("RECEIVED, INVOICE OPEN", 35, "Invoiced"),
    status("SHIPPING", 10, "Shipped"),
];

pub(super) const RETURN_STATUSES: &[Status] = &[
    status("BER", 34, "Beyond Economical Repair"),
    status("RAI", 28, "Returned As Is"),
    status("RAI, QUOTE DECLINED", 8, "Returned As Is"),
    status("CANCEL", 14, "Cancelled"),
    status("CANCELLED BY CUSTOMER", 4, "Cancelled"),
    status("SCRAPPED", 9, "Scrapped"),
    status("SCRAP AT SHOP", 3, "Scrapped"),
];

/// The shop's number for the order: `#` stands for a digit.
pub(super) const SHOP_REFERENCES: &[&str] = &["WO-######", "Q######", "SO##-####", "R#####-#"];

pub(super) const NOTES: &[&str] = &[
    "Shop received unit, in queue for evaluation.",
    "Called for quote, no answer. Left a message.",
    "Quote received by e-mail.",
    "Quote approved by sales.",
    "Shop waits for a seal kit, ETA two weeks.",
    "Housing corroded beyond limits; shop proposes replacement.",
    "Customer AOG: ask for expedite fee.",
    "Priority repair.",
    "Missing data plate, shop asks for trace documents.",
    "Bearing noise at bench check; 3.2 mm end play measured.",
    "Unit passed final test; waiting for the 8130-3.",
    "Invoice does not match the quote, asked for a correction.",
    "Pick-up arranged with our courier.",
    "Core charge credited.",
    "Talked to José at the front desk: \"ready on Friday\".",
    "Warranty claim filed with the previous shop.",
];
