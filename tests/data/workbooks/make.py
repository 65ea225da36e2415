"""Makes the workbooks beside this script, which no Rust library writes.

Needs LibreOffice, and from PyPI: xlwt odfpy msoffcrypto-tool openpyxl. Usage: python3 make.py
"""

import datetime
import io
import pathlib
import subprocess
import tempfile

import msoffcrypto.format.ooxml
import odf.office
import odf.style
import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P

HERE = pathlib.Path(__file__).parent.resolve()


def xls():
    book = xlwt.Workbook()
    sheet = book.add_sheet("Open orders")
    for column, heading in enumerate(["RO", "Cost", "Date", "Done", "Total", "Time"]):
        sheet.write(1, column, heading)
    date = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm")
    time = xlwt.easyxf(num_format_str="hh:mm:ss")
    sheet.write_merge(0, 0, 0, 5, "Orders of Ä")
    sheet.write(2, 0, 65214)
    sheet.write(2, 1, 9800.005)
    sheet.write(2, 2, datetime.datetime(2025, 11, 3, 14, 5), date)
    sheet.write(2, 3, True)
    sheet.write(2, 4, xlwt.Formula("B3*2"))
    sheet.write(2, 5, datetime.time(14, 5), time)
    sheet.row(3).set_cell_error(0, 0x2A)  # #N/A
    hidden = book.add_sheet("Archive")
    hidden.visibility = 1
    hidden.write(0, 0, "old")
    book.add_sheet("Empty")
    book.save(HERE / "orders.xls")


def xls_1904():
    book = xlwt.Workbook()
    book.dates_1904 = True
    sheet = book.add_sheet("Dates")
    sheet.write(0, 0, 44502, xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    book.save(HERE / "dates-from-1904.xls")


def ods_cell(kind, text, **attributes):
    cell = TableCell(valuetype=kind, **attributes)
    cell.addElement(P(text=text))
    return cell


def ods():
    document = OpenDocumentSpreadsheet()
    hidden = odf.style.Style(name="hidden", family="table")
    hidden.addElement(odf.style.TableProperties(display="false"))
    document.automaticstyles.addElement(hidden)

    sheet = Table(name="Open orders")
    row = TableRow()
    row.addElement(ods_cell("string", "Orders of Ä", numbercolumnsspanned=3, numberrowsspanned=1))
    row.addElement(CoveredTableCell(numbercolumnsrepeated=2))
    sheet.addElement(row)
    sheet.addElement(TableRow(numberrowsrepeated=3))
    row = TableRow(visibility="collapse", numberrowsrepeated=2)
    row.addElement(ods_cell("float", "65214", value=65214))
    row.addElement(TableCell(numbercolumnsrepeated=2))
    row.addElement(ods_cell("currency", "9,800.01", value=9800.005, currency="USD"))
    sheet.addElement(row)
    row = TableRow()
    row.addElement(ods_cell("date", "3 Nov 2025", datevalue="2025-11-03"))
    row.addElement(ods_cell("date", "3 Nov 2025", datevalue="2025-11-03T14:05:00.1236"))
    row.addElement(ods_cell("time", "14:05", timevalue="PT14H05M00S"))
    row.addElement(ods_cell("boolean", "TRUE", booleanvalue="true"))
    row.addElement(TableCell(formula="of:=[.A5]*2"))
    row.addElement(ods_cell("string", "#N/A", formula="of:=NA()"))
    sheet.addElement(row)
    # LibreOffice ends each sheet with rows like these.
    row = TableRow(numberrowsrepeated=1048569)
    row.addElement(TableCell(numbercolumnsrepeated=16384))
    sheet.addElement(row)
    document.spreadsheet.addElement(sheet)

    sheet = Table(name="Archive", stylename=hidden)
    row = TableRow()
    row.addElement(ods_cell("string", "old"))
    sheet.addElement(row)
    document.spreadsheet.addElement(sheet)
    document.save(HERE / "orders.ods")


def openpyxl_workbook():
    book = openpyxl.Workbook()
    book.active.append(["RO", "Total"])
    book.active.append([65214, "=A2*2"])
    content = io.BytesIO()
    book.save(content)
    return content


def formula_without_value():
    (HERE / "formula-without-value.xlsx").write_bytes(openpyxl_workbook().getvalue())


def with_password():
    encrypted = io.BytesIO()
    file = msoffcrypto.format.ooxml.OOXMLFile(openpyxl_workbook())
    file.encrypt("secret", encrypted)
    (HERE / "password.xlsx").write_bytes(encrypted.getvalue())


MODULE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Module1" script:language="StarBasic">
Sub Store(source As String, target As String, filter As String)
    Dim hidden(0) As New com.sun.star.beans.PropertyValue
    hidden(0).Name = "Hidden"
    hidden(0).Value = True
    document = StarDesktop.loadComponentFromURL(source, "_blank", 0, hidden())
    Dim options(1) As New com.sun.star.beans.PropertyValue
    options(0).Name = "FilterName"
    options(0).Value = filter
    options(1).Name = "Password"
    options(1).Value = "secret"
    document.storeToURL(target, options())
    document.close(True)
End Sub
</script:module>"""
LIBRARY = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:library PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "library.dtd">
<library:library xmlns:library="http://openoffice.org/2000/library" library:name="Standard" library:readonly="false"
    library:passwordprotected="false"><library:element library:name="Module1"/></library:library>"""


def with_password_by_libreoffice():
    with tempfile.TemporaryDirectory() as folder:
        basic = pathlib.Path(folder, "user", "basic", "Standard")
        soffice = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}"]
        # The first start makes the profile.
        subprocess.run([*soffice, "--terminate_after_init"], check=True)
        basic.mkdir(parents=True, exist_ok=True)
        (basic / "Module1.xba").write_text(MODULE)
        (basic / "script.xlb").write_text(LIBRARY)
        for name, filter in [("password.xls", "MS Excel 97"), ("password.ods", "calc8")]:
            urls = f'"{(HERE / "formula-without-value.xlsx").as_uri()}","{(HERE / name).as_uri()}"'
            subprocess.run([*soffice, f'macro:///Standard.Module1.Store({urls},"{filter}")'], check=True)


xls()
xls_1904()
ods()
formula_without_value()
with_password()
with_password_by_libreoffice()
