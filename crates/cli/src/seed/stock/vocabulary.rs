//! Vocabulary of the sample stock. Part numbers have the form of real ones.

/// The kind of a part, which determines its quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Hundreds of pieces: bolts, rivets, seals.
    Hardware,
    /// Dozens of pieces: brackets, filters, hoses.
    Spare,
    /// Single pieces, each with a serial number: pumps, actuators, computers.
    Rotable,
}

/// Parts with similar numbers. The number is a pattern for
/// [`Generator::text`](super::super::generator::Generator::text).
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) number: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
}

const fn hardware(number: &'static str, description: &'static str) -> Family {
    Family { number, description, kind: Kind::Hardware }
}

const fn spare(number: &'static str, description: &'static str) -> Family {
    Family { number, description, kind: Kind::Spare }
}

const fn rotable(number: &'static str, description: &'static str) -> Family {
    Family { number, description, kind: Kind::Rotable }
}

/// Standard parts that fit anything.
pub(super) const HARDWARE: &[Family] = &[
    hardware("MS20470AD(3..6)-(3..16)", "RIVET, UNIVERSAL HEAD"),
    hardware("MS20426AD(3..6)-(3..16)", "RIVET, COUNTERSUNK HEAD"),
    hardware("MS20470(B|D|DD)(4..6)-(4..12)", "RIVET, SOLID"),
    hardware("MS20615-(3..6)M(3..14)", "RIVET, MONEL"),
    hardware("CR32(12|13|42|43)-(4..6)-(1..10)", "RIVET, BLIND, CHERRYMAX"),
    hardware("BACR15(BB|BA|CE|GF)(3..8)(A|AD|D)(3..14)", "RIVET"),
    hardware("NAS1149F0(3|4|5|6|8)(16|32|63)P", "WASHER, FLAT"),
    hardware("NAS1149(C|D)0(3|4|5|6|8)(16|32|63)(R|J|K)", "WASHER, FLAT"),
    hardware("AN960(|C|JD|PD)-(3|4|6|8|10|416|516|616|716|816|1016)(|L)", "WASHER, FLAT"),
    hardware("BACW10BP(3..12)(|APU|CD|DP)", "WASHER"),
    hardware("MS35338-(40..48)", "WASHER, LOCK"),
    hardware("AN(3..8)(-|C)(3..37)(|A)", "BOLT, HEX HEAD"),
    hardware("NAS66(03|04|05|06|08)-(2..60)", "BOLT, TIE, HEX HEAD"),
    hardware("NAS13(03|04|05|06|08)-(2..48)", "BOLT, CLOSE TOLERANCE"),
    hardware("NAS464P(3..8)(-|A|LA)(3..28)", "BOLT, SHEAR"),
    hardware("MS21250-0(4|5|6|8)0(10..64)", "BOLT, 12 POINT, EXTERNAL WRENCHING"),
    hardware("BACB30NN(3..8)K(3..36)", "BOLT, HEX HEAD"),
    hardware("BACB30(NR|LE|LM|US)(3..8)(K|HK|U)(2..28)", "BOLT"),
    hardware("MS21042(-|L)(04|06|08|3|4|5|6|7|8)", "NUT, SELF-LOCKING"),
    hardware("MS21044(B|C|D|N)(04|06|08|3|4|5|6|8|10)", "NUT, SELF-LOCKING, HEX"),
    hardware("MS210(47|48|51|59|60|69|75)L(04|06|08|3|4|5|6)", "NUT, PLATE"),
    hardware("BACN10(JC|JD|YR|HR|JA)(3..8)(|CM|CD|M)", "NUT"),
    hardware("MS27039-(0|1|4|5)-(03..40)", "SCREW, PAN HEAD"),
    hardware("MS24694-(C|S)(2..180)", "SCREW, COUNTERSUNK"),
    hardware("NAS1801-(04|06|08|3|4)-(4..32)", "SCREW, HEX HEAD"),
    hardware("BACS12(ER|FA|GU|HM)(04|06|08|3|4)K(3..24)", "SCREW"),
    hardware("MS24665-(1|2|3|4|5)##", "PIN, COTTER"),
    hardware("HL(10|11|18|19|20)(|P)B(5|6|8|10)-(2..16)", "PIN, HI-LOK"),
    hardware("HL(70|79|82|86|97)(|DU|PB)-(5|6|8|10|12)", "COLLAR, HI-LOK"),
    hardware("M83248/1-(0|1|2|3)##", "O-RING"),
    hardware("MS28775-(0|1|2|3)##", "O-RING"),
    hardware("MS29513-(0|1|2)##", "O-RING, FUEL"),
    hardware("NAS1611-(0|1|2|3)##A", "O-RING, PHOSPHATE ESTER"),
    hardware("NAS1612-(2..32)(|A)", "O-RING, BOSS"),
    hardware("AS3084-(0|1|2)##", "PACKING, PREFORMED"),
    hardware("MS28774-(0|1|2|3|4)##", "RETAINER, BACK-UP RING"),
    hardware("MS21919W(CF|CH|CJ|DF|DG|DH)(2..40)", "CLAMP, LOOP, CUSHIONED"),
    hardware("BACC10(DK|GE|GU|JU)(3..60)(|A|P)", "CLAMP"),
    hardware("M39029/(1|4|5|11|56|57|58|63|64)-(101..489)", "CONTACT, ELECTRICAL"),
    hardware("MS25036-1(01..60)", "TERMINAL LUG, RING"),
    hardware("MS25237-(301..399)", "LAMP, INCANDESCENT"),
    hardware("AN(815|816|818|819|833|837|924)-(2..24)(|C|D|J|T)", "FITTING, TUBE"),
    hardware("MS2192(1|2|4|5)-(2..24)(|D|J)", "FITTING, FLARELESS TUBE"),
];

/// Parts that are often replaced.
pub(super) const SPARES: &[Family] = &[
    spare("AE70####-(1..9)", "HOSE ASSY, TEFLON"),
    spare("124(F|G|J)001-(4|6|8|10)(CR|SR)0(100..480)", "HOSE ASSY"),
    spare("AC9(380|780|850)F-(10..79)##", "FILTER ELEMENT, HYDRAULIC"),
    spare("7579###-10(1|2|3)", "FILTER ELEMENT, FUEL"),
    spare("QA0(6|7)###", "FILTER, AIR"),
    spare("MS25244-(1..50)", "CIRCUIT BREAKER"),
    spare("MS3320-(1|2|3|5|7|10|15|20)(|L)", "CIRCUIT BREAKER"),
    spare("BACC18(R|X|Z|AA)(1..25)(|A|T)", "CIRCUIT BREAKER"),
    spare("D38999/26W(A|B|C|D|E|F|G)(2|4|5|8|18|35|46|98)(P|S)N", "CONNECTOR, PLUG"),
    spare("BACC63B(P|V|N)(10..24)(B|C|D)(2..61)(S|P)N", "CONNECTOR"),
    spare("MS27467T(9|11|13|15|17|19|21)(B|F)(2..99)(P|S)", "CONNECTOR, PLUG"),
    spare("BACB10(AC|AE|BA|BX|FN)(3..48)(|C|G)", "BEARING"),
    spare("MS276(41|43|45|46)-(3..20)", "BEARING, BALL, CONTROL"),
    spare("KP(3..21)(A|B|R)(FS428|FS464|)", "BEARING, BALL, CONTROL"),
    spare("2-1(2|4|5|6)##-(11..29)", "SEAL, BRAKE PISTON"),
    spare("S3(10|14|28|35)##-(101..399)(-1|)", "SEAL"),
    spare("69-3####-(1..12)", "BRACKET"),
    spare("69B8####-(1..9)", "SUPPORT"),
    spare("BAC27(DCC|DEX|THY|WPS)#(1..99)", "PLACARD"),
    spare("10-(47|48)###-(1..4)", "LENS, LANDING LIGHT"),
    spare("30-2###-(1..9)", "LIGHT ASSY, POSITION"),
    spare("(4551|4553|4557|4559|4560|4580|4594|4596)", "LAMP, SEALED BEAM"),
    spare("CH31#91(|-1)", "IGNITER PLUG"),
    spare("FHE(103|141|161|191|231)-(1..9)", "IGNITER PLUG"),
    spare("9570#-(101..140)", "GASKET"),
    spare("E0(216|303|423)-(2|4|6|8)##(|-1)", "SEAL, PNEUMATIC DUCT"),
    spare("65B1####-(1..40)", "PANEL, ACCESS"),
    spare("332A(1|2|3)###-(1..19)", "SEAL, THRUST REVERSER"),
];

/// Units that are repaired and used again, of various aircraft.
pub(super) const ROTABLES: &[Family] = &[
    rotable("2-1534-(1..9)", "BRAKE ASSY, MAIN"),
    rotable("2-1(474|526|577|585|607|624)-(1..9)", "BRAKE ASSY, MAIN"),
    rotable("5006286-(1..4)", "BRAKE ASSY"),
    rotable("50(06|07|08|09|11)###-(1..7)", "BRAKE ASSY"),
    rotable("260(1|2|6|9)###-(1..4)", "WHEEL ASSY, MAIN"),
    rotable("3-1(319|398|421|438)(|-1|-2|-3)", "WHEEL ASSY, NOSE"),
    rotable("6004(090|125|183|229)-(1..6)", "ANTISKID CONTROL UNIT"),
    rotable("39-(152|353|400)(|-1|-2|A)", "ANTISKID VALVE"),
    rotable("PV3-(044|075|115|160|240|300)-(2..30)", "HYDRAULIC PUMP, ENGINE DRIVEN"),
    rotable("571###", "HYDRAULIC PUMP, ENGINE DRIVEN"),
    rotable("60-8(05|47|71)##-(1..9)", "FUEL BOOST PUMP"),
    rotable("568-1-2####(|-1|-2|-3)", "FUEL PUMP, ENGINE"),
    rotable("3505###-(1..9)", "STARTER, AIR TURBINE"),
    rotable("383###-(1..6)-1", "STARTER, PNEUMATIC"),
    rotable("7(05|28|35|61)###(|A|B|C)", "INTEGRATED DRIVE GENERATOR"),
    rotable("976J###-(1..6)", "GENERATOR CONTROL UNIT"),
    rotable("915F###-(1..5)", "GENERATOR, AC"),
    rotable("28B###-(1..40)", "TRANSFORMER RECTIFIER UNIT"),
    rotable("107###-(1..9)-1", "VALVE, PRECOOLER CONTROL"),
    rotable("321####-(1..6)", "VALVE, BLEED AIR REGULATOR"),
    rotable("398###-(1..5)-1", "VALVE, ANTI-ICE"),
    rotable("129(150|744|810)-(1..4)", "VALVE, OUTFLOW"),
    rotable("220####-(1..6)", "AIR CYCLE MACHINE"),
    rotable("18(1|2|5|6)###-(1..5)", "HEAT EXCHANGER"),
    rotable("3289###-(1..9)", "FUEL CONTROL UNIT, APU"),
    rotable("10-60###-(1..12)", "VALVE, HYDRAULIC SHUTOFF"),
    rotable("0851(HL|HT|KB|JB)(|-1|-2)", "PROBE, PITOT"),
    rotable("102(AH|BW|CA|LA)(1..9)A(F|G)", "PROBE, TOTAL AIR TEMPERATURE"),
    rotable("0861(CN|FL|DL)(|1|2|3)", "SENSOR, ANGLE OF ATTACK"),
    rotable("622-(4|5|6|8|9)###-0(01..20)", "TRANSCEIVER, VHF"),
    rotable("822-0###-(101..140)", "AIR DATA COMPUTER"),
    rotable("066-50###-(1|2)1#1", "TRANSPONDER, MODE S"),
    rotable("20(41|67)###-####", "RADAR RECEIVER TRANSMITTER"),
    rotable("4082###-9(01..10)", "DISPLAY UNIT"),
    rotable("HG1050(AD|BD)0(1..9)", "INERTIAL REFERENCE UNIT"),
    rotable("980-(4100|4700|6005|6020)-0(01..26)", "RECORDER, FLIGHT DATA"),
    rotable("25(87335|88302|90440)-(1..11)", "GYRO, VERTICAL"),
    rotable("S2#3T###-(1..9)", "BOTTLE, FIRE EXTINGUISHER"),
    rotable("899###-(01..14)", "BOTTLE, FIRE EXTINGUISHER"),
    rotable("80(2|3|8)###-0(1..6)", "CYLINDER, OXYGEN"),
    rotable("5913###-50(1|3|5|7)", "ACTUATOR, GEAR DOOR"),
    rotable("1U1###-(1..5)", "ACTUATOR, TRIM"),
];

/// Parts of the MD-80, with the manufacturer's numbers.
pub(super) const MD80: &[Family] = &[
    rotable("5915###-50(1|3|5|7)", "DOOR ASSY, MAIN LANDING GEAR"),
    rotable("591(0|1|2)###-50(1|3|5)", "ACTUATOR, SLAT"),
    rotable("5935###-5(01|03|05|07|11)", "CYLINDER ASSY, SPOILER"),
    rotable("591(6|7|8)###-5(01|03|09)", "CONTROL UNIT, RUDDER"),
    rotable("3914###-55(01|03|09)", "CYLINDER ASSY, NOSE GEAR"),
    rotable("4913###-50(1|3|5)", "VALVE, PNEUMATIC CROSSFEED"),
    rotable("7936###-5(01..19)", "ACTUATOR, FLAP"),
    rotable("9914###-50(1|3|5)", "FITTING ASSY, ELEVATOR HINGE"),
    spare("3927###-(1..9)", "FITTING"),
    spare("5923###-5(01..29)", "PANEL, ACCESS"),
    spare("3958###-(1..19)", "DOUBLER"),
    spare("4911###-5(01..19)", "DUCT, AIR CONDITIONING"),
    spare("4958###-(1|2|501|502)", "SEAL, DOOR"),
    spare("5958###-4(01..40)", "TRIM, CABIN SIDEWALL"),
    spare("5614###-(1..9)", "BRACKET, PYLON"),
    spare("2914###-(1..19)", "BUSHING"),
    spare("SR09(53|32|25)0###-(1..19)", "INSERT, STRUCTURAL REPAIR"),
    spare("S3927###-50(1|3|5)", "ROD ASSY"),
    hardware("3D00(12|15|35)-(4|5|6)-(3..24)", "BOLT, DOUGLAS STANDARD"),
    hardware("4P(3|5|8)-(101..499)", "SEAL, DOUGLAS STANDARD"),
];

/// Parts of the 727.
pub(super) const BOEING_727: &[Family] = &[
    rotable("65-90305-(1..40)", "CONTROL UNIT, ANTISKID"),
    rotable("65-44###-(1..12)", "ACTUATOR, SPOILER"),
    rotable("65-20###-(1..19)", "ACTUATOR, LEADING EDGE SLAT"),
    rotable("65-17###-(1..29)", "TRANSMISSION, FLAP"),
    rotable("65-25###-(2..15)", "CYLINDER ASSY, GEAR DOOR"),
    rotable("65-50###-(1..8)", "MODULE, YAW DAMPER"),
    rotable("65C1####-(1..9)", "ACTUATOR, RUDDER"),
    rotable("10-610##-(1..21)", "VALVE, STANDBY HYDRAULIC"),
    spare("65-33###-(1..40)", "SHROUD, LAVATORY"),
    spare("65-16###-(1..99)", "FITTING, WING"),
    spare("65-22###-(1..60)", "PANEL, FAIRING"),
    spare("65-8(3|4|9)###-(1..40)", "RIB ASSY"),
    spare("69-1####-(1..12)", "BRACKET"),
    spare("69-4####-(1..9)", "ROD ASSY"),
    spare("66-1####-(1..24)", "SEAL, DOOR"),
    spare("60-1####-(1..9)", "SPRING"),
    hardware("66-2####-(1..30)", "BUSHING"),
    hardware("60-3###-(1..40)", "SPACER"),
];

/// Parts of the 757.
pub(super) const BOEING_757: &[Family] = &[
    rotable("251N4050-(1..40)", "ACTUATOR, ELEVATOR"),
    rotable("25(1|2|3)N####-(1..40)", "QUADRANT ASSY, FLIGHT CONTROL"),
    rotable("256N####-(1..19)", "TRANSMISSION, FLAP"),
    rotable("16(1|2)N####-(1..12)", "STRUT ASSY, LANDING GEAR"),
    rotable("285N0###-(1..9)", "MODULE, CONTROL"),
    rotable("S2(51|72|83)N###-(1..50)", "UNIT, PROXIMITY SWITCH"),
    spare("113N####-(1..60)", "RIB ASSY, WING"),
    spare("114N####-(1..40)", "FAIRING, WING"),
    spare("14(1|4|6)N####-(1..80)", "STRINGER CLIP"),
    spare("215N####-(1..40)", "DUCT ASSY, AIR CONDITIONING"),
    spare("21(1|2)N####-(1..30)", "TRIM PANEL, CABIN"),
    spare("314N####-(1..30)", "SEAL, THRUST REVERSER"),
    spare("41(1|3)N####-(1..24)", "BRACKET, WIRE BUNDLE"),
    hardware("60B0####-(1..19)", "SPACER"),
];

/// Airbus parts that the index lacks. The other families' numbers have other forms, so no indexed number contains one
/// of these.
pub(super) const AIRBUS: &[Family] = &[
    rotable("D531(10|12|32)###-00(0|1|2|4)", "ACTUATOR, A320"),
    rotable("C2031(5|9)###", "BRAKE ASSY, A320"),
    rotable("FIN-40HQ-(1..99)", "CONTROL PANEL, A320"),
    spare("D575(46|80)###-00(0|2)", "FAIRING, A320"),
    spare("ASNE0(012|295|419)-(1..80)", "CONNECTOR"),
    hardware("NSA5(041|414|474|516)-(2..40)", "NUT"),
    hardware("ASNA2(002|531|536|657)-(3..120)", "BOLT"),
    hardware("ABS0(121|367|604|922)-(2..99)", "CLAMP"),
];

/// Conditions with their weights.
pub(super) type Conditions = &'static [(&'static str, u32)];

pub(super) const HARDWARE_CONDITIONS: Conditions = &[("NE", 34), ("SV", 34), ("NS", 20), ("AR", 12)];
pub(super) const SPARE_CONDITIONS: Conditions = &[("SV", 40), ("AR", 26), ("NE", 22), ("NS", 12)];
pub(super) const ROTABLE_CONDITIONS: Conditions = &[("AR", 40), ("SV", 36), ("OH", 14), ("RP", 10)];

/// The conditions of tables with parts as removed from an aircraft.
pub(super) const AS_REMOVED: Conditions = &[("AR", 88), ("SV", 12)];

pub(super) const NOT_WORTH_REPAIR: Conditions = &[("BER", 56), ("RAI", 44)];

/// Locations, as patterns like those of the part numbers.
pub(super) const STOCK_ROOM: &[&str] = &["(A|B|C|D|E|F|G)-(1..24)-(1..6)", "SHELF (1..18)(A|B|C|D)"];
pub(super) const BIN_WALLS: &[&str] = &["BIN WALL (1..8)", "H-(1..12)-(1..4)"];
pub(super) const BINS: &[&str] = &["B-(1..240)"];
pub(super) const MD82: &[&str] = &["MD-(1..16)-(1..5)", "MEZZANINE (1..9)", "SHELF (30..44)(A|B|C)"];
pub(super) const HANGAR: &[&str] = &["K-(1..20)-(1..5)", "PALLET (1..60)"];
pub(super) const TERRA: &[&str] = &["TERRA RACK (1..12)", "T-(1..9)-(1..4)"];
pub(super) const ASIA: &[&str] = &["CONTAINER 2 ROW (1..14)", "AS-(1..12)-(1..5)"];
pub(super) const QUARANTINE: &[&str] = &["QUARANTINE (1..9)", "Q-(1..6)-(1..3)"];
pub(super) const BOLIVIA: &[&str] = &["BOL CRATE (1..40)"];
pub(super) const DELTA: &[&str] = &["DL PALLET (1..35)", "D2-(1..8)-(1..4)"];
pub(super) const SANFORD: &[&str] = &["SANFORD (1..30)(A|B)", "SFB RACK (1..16)"];

/// Reasons for taking pieces.
pub(super) const TAKEN: &[&str] = &[
    "used on unit",
    "short on teardown",
    "for bench 2",
    "AOG, picked up by customer",
    "kit for overhaul",
    "sold, shipped FedEx",
    "replaced per CMM",
    "per José",
    "shipped to shop with the unit",
];

pub(super) const CAME_IN: &[&str] = &[
    "PO 4(1|2|3|4|5|6|7|8)## received",
    "PO 4(1|2|3|4|5|6|7|8)## received",
    "PO 4(1|2|3|4|5|6|7|8)## received, cert on file",
    "PO 4(1|2|3|4|5|6|7|8)## received, partial",
    "returned, not used",
];

pub(super) const ROTABLE_CAME_IN: &[&str] = &[
    "PO 4(1|2|3|4|5|6|7|8)## received",
    "exchange core received",
    "removed at teardown",
    "returned by customer, not installed",
];

pub(super) const COUNTED_MORE: &[&str] =
    &["stock take", "stock take", "found behind the shelf", "miscounted last time"];

pub(super) const COUNTED_FEWER: &[&str] =
    &["stock take", "stock take", "missing at stock take", "damaged, scrapped", "taken without a paper"];
