// The page of an import's report in a real browser: it fits narrow screens, its groups open, its search finds rows, and nothing of
// a cell runs. `the_page_of_a_report_works_in_a_browser` in `tests/suite/import/report.rs` makes the page and runs this.
//
//   node tests/contract/client/report.js report.html [directory for screenshots and the files of the report]
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, screenshots] = process.argv.slice(2);
if (screenshots) cpSync(dirname(file), screenshots, { recursive: true });
const url = pathToFileURL(resolve(file)).href;

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});

try {
    for (const [width, colorScheme, javaScriptEnabled] of [
        [1280, "light", true], [390, "light", true], [1280, "dark", true], [390, "dark", true], [390, "light", false],
    ]) {
        const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, javaScriptEnabled });
        const page = await context.newPage();
        const problems = [];
        page.on("request", (request) => request.url() === url || problems.push(request.url()));
        page.on("console", (message) => problems.push(message.text()));
        page.on("pageerror", (error) => problems.push(`${error}`));
        page.on("dialog", (dialog) => problems.push(dialog.message()) && dialog.dismiss());
        await page.goto(url);
        const screenshot = async (name) => {
            const path = screenshots && join(screenshots, `${name}-${width}-${colorScheme}${javaScriptEnabled ? "" : "-plain"}.png`);
            if (path) await page.screenshot({ path, fullPage: true });
        };
        const fits = async () => {
            const [scroll, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            assert.ok(scroll <= inner, `the page is ${scroll} pixels wide on a screen of ${inner}`);
        };
        await page.getByRole("heading", { name: "What to do next" }).waitFor();
        await page.getByRole("row", { name: "All tables" }).waitFor();
        if (!javaScriptEnabled) {
            await page.getByText("The single rows are shown with JavaScript only.").waitFor();
            await screenshot("page");
            await context.close();
            continue;
        }
        await fits();

        // Every group has as many rows as it says, and a row shows its cells. By keyboard, too.
        for (const group of await page.locator("details.group").all()) {
            await group.locator("> summary").focus();
            await page.keyboard.press("Enter");
            const said = Number((await group.locator("> summary .count").innerText()).split(" ")[0].replaceAll(",", ""));
            await group.locator("details.row").first().waitFor();
            assert.equal(await group.locator("details.row").count(), Math.min(said, 200));
        }
        const days = page.locator("details.group", { hasText: "Date in US order" }).locator("details.row");
        await days.getByText("ESTIMATED_DELIVERY_DATE: 1/9/26 → 2026-01-09").waitFor();
        await page.locator("details.row > summary").first().click();
        await page.getByRole("heading", { name: "The row as it was found" }).first().waitFor();
        await fits();
        await screenshot("page");

        const search = page.getByRole("searchbox", { name: "Search all rows" });
        for (const [words, rows] of [["no such part", 0], ["SKYLINE active", 1], ["onerror", 1], ["skyline 776201a", 1]]) {
            await search.fill(words);
            const hits = rows === 0 ? "No row has this." : rows === 1 ? "1 row has this." : `${rows} rows have this.`;
            assert.equal(await page.locator("#hits").innerText(), hits, words);
            assert.equal(await page.locator("#results details.row:visible").count(), rows, words);
            assert.equal(await page.locator("#groups").isVisible(), false);
        }
        await search.fill("onerror");
        await page.locator("#results summary").click();
        await page.locator("#results dd").getByText("</script><img src=x onerror=alert(1)>").first().waitFor();
        await fits();
        await screenshot("search");
        await search.fill("");
        assert.equal(await page.locator("#groups").isVisible(), true);

        // In print the groups are open, and afterwards as they were.
        await page.reload();
        await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
        assert.equal(await page.locator("details.group:not([open])").count(), 0);
        assert.ok(await page.locator("details.row").count() > 0);
        await page.evaluate(() => dispatchEvent(new Event("afterprint")));
        assert.equal(await page.locator("details.group[open]").count(), 0);
        if (screenshots && width === 1280) await page.pdf({ path: join(screenshots, `print-${colorScheme}.pdf`) });
        assert.deepEqual(problems, []);
        await context.close();
    }
    console.log(`${file}: read, opened and searched at two widths`);
} finally {
    await browser.close();
}
