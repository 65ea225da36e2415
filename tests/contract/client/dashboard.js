// A small page that calls the API as version 2.6 of the dashboard does, in a real browser on a running
// `cargo dev --legacy-dashboard --fake-anthropic`: once on another origin, and once on the origin of a proxy that passes
// `/.netlify/functions/…` on to the API, as the real dashboard is.
//
//   node tests/contract/client/dashboard.js http://127.0.0.1:3001 NUMBER
//
// NUMBER is an active order without a shop, as imported ones can be.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { chromium } from "playwright-core";

const [url, imported] = process.argv.slice(2);
const html = await readFile(new URL("dashboard.html", import.meta.url));
const servers = [];

/** Serves the page and, if `forwards`, passes the functions' paths on to the API. Returns the origin. */
async function serve(port, forwards) {
    const server = createServer((incoming, outgoing) => {
        if (!forwards || !incoming.url.startsWith("/.netlify/functions/")) {
            outgoing.setHeader("content-type", "text/html").end(html);
            return;
        }
        const { method, headers } = incoming;
        const onward = request(url + incoming.url, { method, headers }, (response) => {
            outgoing.writeHead(response.statusCode, response.headers);
            response.pipe(outgoing);
        });
        onward.on("error", (error) => outgoing.writeHead(502).end(`${error}`));
        incoming.pipe(onward);
    });
    servers.push(server);
    await new Promise((listening, failed) => server.once("error", failed).listen(port, "localhost", listening));
    return `http://localhost:${server.address().port}`;
}

/** Days from one date in a row to another. */
const days = (from, to) => (Date.parse(to) - Date.parse(from)) / 86_400_000;

/** Uses every part of the page, as a person does. `name` distinguishes the orders of this page. */
async function use(page, name) {
    const message = page.locator("#message");
    /** Fills in and submits a form, and waits for the end of its requests. */
    const submit = async (form, fields, said = "") => {
        for (const [field, value] of Object.entries(fields)) {
            await page.locator(`#${form} [name=${field}]`).fill(value);
        }
        await page.locator(`#${form} button`).click();
        await message.filter({ hasNotText: "…" }).waitFor({ state: "attached" });
        assert.equal(await message.innerText(), said, `${name}: ${form}`);
    };
    const cells = (number) => page.locator(`#orders tr[data-number="${number}"] td`).allInnerTexts();
    const total = async () => Number(await page.locator("#total").innerText());

    await page.getByRole("button", { name: "Orders" }).click();
    await page.locator("#orders tr").first().waitFor();
    const before = await total();
    assert.ok(before > 0 && (await page.locator("#orders tr").count()) >= 500, `${name}: the list`);

    const number = `RO-${name}`;
    const order = { roNumber: number, shopName: "Acme Aviation", partDescription: "Fuel pump", estimatedCost: "12.5" };
    await submit("create", order);
    let [, , status, made, next, cost] = await cells(number);
    assert.deepEqual([status, days(made, next), cost], ["TO SEND", 3, "12.50"], `${name}: a new order`);
    assert.equal((await total()).toFixed(2), (before + 12.5).toFixed(2), `${name}: amounts are added`);

    await submit("edit", { roNumber: imported, notes: `called by ${name}` });
    const [, shop, , , , , notes] = await cells(imported);
    assert.deepEqual([shop, notes], ["", `called by ${name}`], `${name}: an edit of an imported order`);

    await submit("status", { roNumber: number, status: "APPROVED" });
    [, , status, made, next] = await cells(number);
    assert.deepEqual([status, days(made, next)], ["APPROVED", 14], `${name}: another status`);

    await submit("search", { partNumber: "no such part" }, "No parts found");
    await submit("search", { partNumber: "ms20" });
    const rows = page.locator("#parts tr");
    const quantities = await rows.locator("td:nth-child(3)").allInnerTexts();
    const place = quantities.findIndex((quantity) => Number(quantity) > 1);
    const row = rows.nth(place);
    await row.getByRole("button", { name: "Take one" }).click();
    await message.filter({ hasText: /^1 piece of .+ taken/ }).waitFor();
    assert.equal(await row.locator("td:nth-child(3)").innerText(), `${quantities[place] - 1}`, `${name}: a decrement`);

    await submit("chat", { question: "What is overdue?" });
    assert.match(await page.locator("#answer").innerText(), /stand-in/, `${name}: the assistant`);
}

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ],
});
try {
    // The origin that `cargo dev` allows.
    const other = await serve(5173, false);
    const own = await serve(0, true);
    for (const [name, address] of [["other", `${other}/?api=${url}`], ["own", `${own}/`]]) {
        const page = await browser.newPage();
        const problems = [];
        page.on("pageerror", (error) => problems.push(`${error}`));
        await page.goto(address);
        await use(page, name);
        assert.deepEqual(problems, []);
        await page.close();
    }
    console.log(`${url}: the pages of the legacy dashboard work on another origin and behind a proxy`);
} finally {
    await browser.close();
    servers.forEach((server) => server.close());
}
