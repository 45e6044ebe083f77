/*
 * The chat example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, verdict, listen, helps, fits, run } = require("../browser.js");

const lines = (page) => page.locator("#lines li").allInnerTexts();

run(async (page, browser) => {
	const other = listen(await browser.newPage());

	await page.goto(url);
	await other.goto(url);
	for (const one of [page, other])
		await one.waitForFunction(() => document.body.innerText.
			includes("2 are here"));
	await page.getByLabel("Your name").fill("Ada");
	await page.keyboard.press("Enter");
	await page.getByRole("button", { name: "Count to 10" }).click();
	await other.getByLabel("Message").fill("<i>hello</i>");
	await other.keyboard.press("Enter");

	for (const one of [page, other])
		await one.waitForFunction(() => document.querySelectorAll(
			"#lines li").length >= 11);
	const heard = await lines(other);
	const ada = heard.filter((line) => /^Ada\d/.test(line)).map((line) =>
		parseInt(line.slice(3), 10));

	verdict("one speaker's messages keep their order",
		ada.join() === "1,2,3,4,5,6,7,8,9,10", heard);
	verdict("a message is text", heard.some((line) =>
		line.endsWith("<i>hello</i>")), heard);
	verdict("all hear the same", heard.join() ===
		(await lines(page)).join(), heard, await lines(page));
	await helps(page);
	await fits(page, "chat");
});
