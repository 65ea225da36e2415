// A real browser on a running `cargo dev`: the documentation page, a request tried out from it, and requests from pages of
// other origins, of which only the configured one may read the responses.
//
//   node tests/contract/client/browser.js http://127.0.0.1:3001 TOKEN [screenshot.png]
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, token, screenshot] = process.argv.slice(2);

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ],
});
const servers = [];

/** A page of another origin on this machine, empty. */
async function pageAt(host, port) {
    const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<title>Elsewhere</title>"));
    servers.push(server);
    await new Promise((listening, failed) => server.once("error", failed).listen(port, "localhost", listening));
    const page = await browser.newPage();
    await page.goto(`http://${host}:${server.address().port}/`);
    return page;
}

/** What a script of `page` gets of the API: an order's number, or the word for being refused. */
function ask(page, init) {
    return page.evaluate(async ([url, init]) => {
        try {
            const response = await fetch(`${url}/api/ros?limit=1`, init);
            return { status: response.status, id: response.headers.get("x-request-id") };
        } catch (error) {
            return `${error}`;
        }
    }, [url, init]);
}

try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    const foreign = [];
    const problems = [];
    page.on("request", (request) => {
        if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) {
            foreign.push(request.url());
        }
    });
    page.on("pageerror", (error) => problems.push(`${error}`));
    await page.goto(`${url}/docs`);
    await page.getByRole("heading", { name: "RO Tracker" }).waitFor();

    // With a token, which the request then carries.
    await page.getByRole("button", { name: "Authorize" }).first().click();
    await page.getByRole("dialog").or(page.locator(".modal-ux")).first().getByRole("textbox").fill(token);
    await page.locator(".modal-ux").getByRole("button", { name: /apply credentials/i }).click();
    await page.locator(".modal-ux").getByRole("button", { name: "Close" }).click();

    const operation = page.locator("#operations-Repair_orders-listOrders, [id$='listOrders']").first();
    await operation.locator(".opblock-summary-control").click();
    await operation.locator("tr[data-param-name=limit] input").fill("1");
    const sent = page.waitForRequest((request) => request.url().includes("/api/ros?"));
    await operation.getByRole("button", { name: "Execute" }).click();
    assert.equal((await sent).headers().authorization, `Bearer ${token}`);
    const response = operation.locator(".live-responses-table");
    await response.waitFor();
    assert.equal((await response.locator("tbody .response-col_status").first().innerText()).trim().split(/\s/)[0], "200");
    const body = await response.locator("tbody .highlight-code").first().innerText();
    assert.match(body, /"roNumber":/);
    if (screenshot) {
        await response.scrollIntoViewIfNeeded();
        await page.screenshot({ path: screenshot });
    }
    assert.deepEqual(foreign, [], "the page needs nothing from elsewhere");
    assert.deepEqual(problems, []);

    const json = { headers: { "content-type": "application/json", authorization: `Bearer ${token}` } };
    const stranger = await pageAt("127.0.0.1", 0).catch(() => pageAt("localhost", 0));
    for (const init of [{}, json]) {
        assert.match(await ask(stranger, init), /Failed to fetch/, "another origin is refused");
    }
    const dashboard = await pageAt("localhost", 5173);
    for (const [init, status] of [[{}, 401], [{ credentials: "include" }, 401], [json, 200]]) {
        const seen = await ask(dashboard, init);
        assert.equal(seen.status, status, "the configured origin is not");
        assert.ok(seen.id, "and its scripts may read the request's id");
    }
    console.log(`${url}/docs: a request was tried out; another origin was refused, the configured one not`);
} finally {
    await browser.close();
    servers.forEach((server) => server.close());
}
