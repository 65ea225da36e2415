"""Writes the tables of a database that has ../live-database.sql as live-database.xlsx and live-database.ods: the same rows as in the
database, by libraries of another language than the importer's.

Needs from PyPI: PyMySQL openpyxl odfpy. Usage: python3 live_database.py HOST PORT USER DATABASE
"""

import datetime
import pathlib
import sys

import openpyxl
import pymysql
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

HERE = pathlib.Path(__file__).parent.resolve()


def tables(host, port, user, database):
    connection = pymysql.connect(host=host, port=int(port), user=user, database=database, charset="utf8mb4")
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM `{name}`")
            yield name, [[column[0] for column in cursor.description], *cursor.fetchall()]


def xlsx(sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(HERE / "live-database.xlsx")


def ods(sheets):
    book = OpenDocumentSpreadsheet()
    for name, rows in sheets:
        table = Table(name=name)
        for row in rows:
            cells = TableRow()
            for value in row:
                cells.addElement(ods_cell(value))
            table.addElement(cells)
        book.spreadsheet.addElement(table)
    book.save(HERE / "live-database.ods")


def ods_cell(value):
    if value is None:
        return TableCell()
    if isinstance(value, datetime.datetime):
        return TableCell(valuetype="date", datevalue=value.isoformat())
    if isinstance(value, (int, float)):
        return TableCell(valuetype="float", value=repr(value))
    cell = TableCell(valuetype="string")
    for line in value.split("\n"):
        cell.addElement(P(text=line))
    return cell


if __name__ == "__main__":
    sheets = list(tables(*sys.argv[1:]))
    xlsx(sheets)
    ods(sheets)
