"use strict";
// Shows the rows of the report, some at a time, and searches them. The page has everything else without this.
{
    const AT_ONCE = 200;
    const { tables, groups, rows } = JSON.parse(document.getElementById("data").textContent);

    const element = (name, className, ...children) => {
        const made = document.createElement(name);
        if (className) made.className = className;
        made.append(...children);
        return made;
    };

    // White space at the ends and characters that nobody sees are shown, because many corrections are about them.
    const UNSEEN = /^ +| +$|(?!\u200d)[\p{Cc}\p{Cf}\u00a0\u2000-\u200a\u202f\u3000]/gu;
    const shown = (text) => {
        const span = element("span", "text");
        let end = 0;
        for (const { 0: unseen, index } of text.matchAll(UNSEEN)) {
            const code = unseen.codePointAt(0);
            const sign = code === 32 ? "·".repeat(unseen.length)
                : code === 10 ? "↵" : code === 9 ? "⇥" : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
            const mark = element("span", "mark", sign);
            mark.title = code === 32 ? "blanks" : code === 10 ? "line break" : code === 9 ? "tab" : "a character that is not visible";
            span.append(text.slice(end, index), mark);
            if (code === 10) span.append("\n");
            end = index + unseen.length;
        }
        span.append(text.slice(end));
        return span;
    };

    const storedText = (stored) => stored === null ? element("em", "faint", "left empty") : element("ins", "", shown(stored));

    const body = (row) => {
        const content = element("div", "body");
        if (row.target !== null) content.append(element("p", "faint", `It has the id ${row.target} here.`));
        if (row.corrections.length) {
            const lines = row.corrections.map(([column, found, stored, rule]) => element("tr", "",
                element("th", "", column), element("td", "", element("del", "", shown(found))),
                element("td", "", storedText(stored)), element("td", "words", rule)));
            const headings = ["Column", "As found", "As stored", "Why"].map((heading) => element("th", "", heading));
            const box = element("div", "scroll", element("table", "",
                element("thead", "", element("tr", "", ...headings)), element("tbody", "", ...lines)));
            box.tabIndex = 0;
            content.append(element("h4", "", "What was corrected"), box);
        }
        const { columns } = tables[row.table];
        const found = element("dl", "found");
        const empty = [];
        row.found.forEach((value, place) => {
            if (value === null || value === "") empty.push(columns[place]);
            else found.append(element("div", "", element("dt", "", columns[place]), element("dd", "", shown(value))));
        });
        content.append(element("h4", "", "The row as it was found"), found);
        if (empty.length) content.append(element("p", "faint", `Empty: ${empty.join(", ")}`));
        return content;
    };

    // The line of a row. In the group of a rule it begins with what that rule corrected.
    const line = (row, title) => {
        const summary = element("summary", "", element("span", "place", `${tables[row.table].name}, row ${row.row}`),
            element("span", `badge ${row.class}`, row.class));
        const what = element("span", "what");
        if (row.reason) what.append(row.reason);
        else if (row.corrections.length) {
            const [column, found, stored] = row.corrections.find(([, , , rule]) => rule === title) ?? row.corrections[0];
            what.append(`${column}: `, element("del", "", shown(found.slice(0, 80))), " → ",
                stored === null ? storedText(null) : storedText(stored.slice(0, 80)));
            if (row.corrections.length > 1) what.append(` and ${row.corrections.length - 1} more`);
        }
        const cells = row.found.filter((value) => value).slice(0, 6).map((value) => value.slice(0, 60)).join(" | ");
        summary.append(what, element("span", "cells", cells));
        const details = element("details", "row", summary);
        details.addEventListener("toggle", () => {
            if (details.open && !details.querySelector(".body")) details.append(body(row));
        });
        return details;
    };

    // Replaces the contents of `list` by the first of `wanted`, and a button for more.
    const show = (list, wanted, title) => {
        const some = (start) => {
            const more = wanted.slice(start, start + AT_ONCE).map((row) => line(row, title));
            const rest = wanted.length - start - more.length;
            if (rest > 0) {
                const button = element("button", "", `Show ${Math.min(rest, AT_ONCE)} more of ${rest.toLocaleString("en")}`);
                button.type = "button";
                button.addEventListener("click", () => {
                    const next = some(start + AT_ONCE);
                    button.replaceWith(...next);
                    next[0].querySelector("summary").focus();
                });
                more.push(button);
            }
            return more;
        };
        list.replaceChildren(...some(0));
    };

    const all = rows.map(([table, row, rowClass, ofRow, reason, target, found, corrections]) =>
        ({ table, row, class: rowClass, groups: ofRow, reason, target, found, corrections }));
    const rowsOfGroup = groups.map(() => []);
    for (const row of all) {
        for (const group of row.groups) rowsOfGroup[group].push(row);
    }

    const boxes = [...document.querySelectorAll("details.group")];
    for (const box of boxes) {
        const list = box.querySelector(".list");
        const group = Number(box.dataset.group);
        const fill = () => {
            if (!box.open || list.firstChild) return;
            show(list, rowsOfGroup[group], groups[group].title);
            const missing = groups[group].rows - rowsOfGroup[group].length;
            if (missing > 0) list.append(element("p", "faint", `${missing === 1 ? "1 more row of this group is" : `${missing.toLocaleString("en")} more rows of this group are`} not in this page.`));
        };
        box.addEventListener("toggle", fill);
        box.fill = fill;
    }

    const query = document.getElementById("query");
    const results = document.getElementById("results");
    const hits = document.getElementById("hits");
    const words = (row) => [tables[row.table].name, `row ${row.row}`, row.class, row.reason ?? "", ...row.found.filter((value) => value),
        ...row.corrections.flatMap(([column, , stored, rule]) => [column, stored ?? "", rule])].join("\n").toLowerCase();
    let texts = null;
    const search = () => {
        const wanted = query.value.toLowerCase().split(/\s+/).filter((word) => word);
        const isSearch = wanted.length > 0;
        results.hidden = !isSearch;
        document.getElementById("groups").hidden = isSearch;
        if (!isSearch) {
            results.replaceChildren();
            hits.textContent = "";
            return;
        }
        texts ??= all.map(words);
        const found = all.filter((_, place) => wanted.every((word) => texts[place].includes(word)));
        hits.textContent = found.length === 0 ? "No row has this."
            : found.length === 1 ? "1 row has this." : `${found.length.toLocaleString("en")} rows have this.`;
        show(results, found);
    };
    query.addEventListener("input", search);
    document.getElementById("plain").hidden = true;
    document.getElementById("search").hidden = all.length === 0;
    document.getElementById("some").hidden = groups.every(({ rows }, group) => rows === rowsOfGroup[group].length);
    search();

    // Groups are open in print.
    let opened = [];
    addEventListener("beforeprint", () => {
        opened = [...document.querySelectorAll("details:not(.row):not([open])")];
        for (const details of opened) {
            details.open = true;
            details.fill?.();
        }
    });
    addEventListener("afterprint", () => {
        for (const details of opened) details.open = false;
    });
}
