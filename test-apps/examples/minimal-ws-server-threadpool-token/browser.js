/*
 * The token example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 *
 * With one thread, so that the second job waits until the first is stopped.
 */

"use strict";

const { url, verdict, listen, has, helps, fits, run } =
	require("../browser.js");

const PRIMES = /216,?816/;	/* below 3 million */

async function start(page, below) {
	await page.goto(url);
	await has(page, "notice", /Connected/);
	await page.getByLabel("Count the primes below").fill(below);
	await page.keyboard.press("Enter");
	await has(page, "token", /^[0-9a-f]{32}$/);
}

run(async (other, browser) => {
	const context = await browser.newContext();
	const page = listen(await context.newPage());

	await start(other, "100000000");
	await has(other, "job-title", /counting/);
	await start(page, "3000000");
	const number = (await page.locator("#job-title").innerText()).
		match(/\d+/)[0];

	await page.close();
	const back = listen(await context.newPage());

	await back.goto(url);
	await has(back, "job-title", new RegExp(`Job ${number} waits`));
	verdict("the job waits for the browser that comes back", true);

	/* another person, who has no token */
	await other.getByRole("button", { name: "Stop" }).click();
	await has(other, "job-title", /was stopped/);
	await other.getByLabel("By its number").fill(number);
	await other.keyboard.press("Enter");
	await has(other, "job-title", new RegExp(`Job ${number} `));
	verdict("who watches has no token",
		!await other.locator("#own").isVisible());

	await has(back, "result", PRIMES);
	verdict("the browser that came back has the result", true);
	await has(other, "job-title", /was taken/);
	verdict("who watched has no result", !PRIMES.test(
		await other.locator("body").innerText()));
	await helps(back);
	await fits(back, "token");
});
