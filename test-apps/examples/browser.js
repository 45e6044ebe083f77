/*
 * test-apps/examples/browser.js - a page of an example in a browser
 *
 * SPDX-License-Identifier: MIT
 *
 * For NAME/browser.js, which in_browser() of lib.sh runs as
 *
 *   node NAME/browser.js URL DIRECTORY CHROMIUM
 *
 * It needs playwright-core (NODE_PATH says where that is), prints a line "ok
 * WHAT" or "not ok WHAT" for each thing, and "all seen" at its end.  Screenshots
 * go into DIRECTORY.
 */

"use strict";

const { chromium } = require("playwright-core");

const [url, directory, executablePath] = process.argv.slice(2);
const PATIENCE_MS = 240000;
const errors = [];

function verdict(what, good, ...details) {
	console.log(`${good ? "ok" : "not ok"} ${what}`);
	if (!good)
		console.log("   ", ...details);
}

/* what is watched all the while; expected: what may be said of that */
function listen(page, expected) {
	const note = (text) => {
		if (!expected || !expected.test(text))
			errors.push(text);
	};

	page.setDefaultTimeout(PATIENCE_MS);
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type()))
			note(message.text());
	});
	page.on("pageerror", (error) => errors.push(String(error)));
	page.on("requestfailed", (request) => note(
		`${request.url()}: ${request.failure().errorText}`));
	page.on("response", (response) => {
		if (response.status() >= 400)
			note(`${response.url()}: ${response.status()}`);
	});
	page.on("request", (request) => {
		if (!request.url().startsWith(url))
			errors.push(`${request.url()} is from elsewhere`);
	});

	return page;
}

/* until the text of this element matches */
function has(page, id, pattern) {
	return page.waitForFunction(([id, source]) => new RegExp(source).test(
		document.getElementById(id).textContent), [id, pattern.source]);
}

/* each thing that can be used has a name, and shows when it is its turn */
async function helps(page) {
	const nameless = await page.evaluate(() => [...document.
		querySelectorAll("input, textarea, button")].filter((item) =>
		!(item.labels && item.labels.length) &&
		!item.textContent.trim() && !item.ariaLabel).length);

	verdict("each control has a name for a screen reader", !nameless,
		nameless);
	await page.keyboard.press("Tab");
	verdict("Tab goes to something that shows it", await page.evaluate(() =>
		document.activeElement !== document.body &&
		getComputedStyle(document.activeElement).outlineStyle !==
		"none"));
}

/* on a wide and on a narrow screen, in light and in dark */
async function fits(page, name) {
	const backs = [];

	for (const scheme of ["light", "dark"])
		for (const width of [1200, 360]) {
			await page.setViewportSize({ width, height: 800 });
			await page.emulateMedia({ colorScheme: scheme });
			const [all, seen, back] = await page.evaluate(() => [
				document.documentElement.scrollWidth,
				document.documentElement.clientWidth,
				getComputedStyle(document.body).
					backgroundColor]);

			verdict(`nothing is wider than ${width} in ${scheme}`,
				all <= seen, all, seen);
			backs.push(back);
			await page.screenshot({ fullPage: true, path:
				`${directory}/${name}-${width}-${scheme}.png` });
		}
	verdict("dark is another look", backs[0] !== backs[2], backs);
}

/* test(page, browser) */
async function inBrowser(test, expected) {
	const browser = await chromium.launch({ executablePath,
		args: ["--no-sandbox", "--disable-gpu"] });
	const page = listen(await browser.newPage({
		viewport: { width: 1200, height: 900 } }), expected);

	await test(page, browser);
	verdict("no error in the console, nothing from elsewhere",
		!errors.length, errors);
	await browser.close();
	console.log("all seen");
}

function run(test, expected) {
	inBrowser(test, expected).catch((error) => {
		console.log("not ok to its end:", error.stack);
		console.log("   ", ...errors);
		process.exit(1);
	});
}

module.exports = { url, directory, verdict, listen, has, helps, fits, run };
