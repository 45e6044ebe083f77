/*
 * The ws server example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, verdict, helps, fits, run } = require("../browser.js");

/* as many connections say so */
const say = (page, text, count) => page.waitForFunction(([text, count]) =>
	[...document.querySelectorAll("#tasks .text")].filter((item) =>
		item.textContent.includes(text)).length === count,
	[text, count]);

run(async (page) => {
	await page.goto(url);
	/* the browser's console tells of one that closes before that */
	await say(page, "connecting", 0);
	await page.getByRole("button", { name: "Close connection 3" }).click();
	await say(page, "closed by you", 1);
	await say(page, "finished", 7);
	verdict("seven finish, and one was closed", true);
	verdict("each thread has done something", await page.evaluate(() =>
		[...document.querySelectorAll("#lanes li")].every((lane) =>
			lane.querySelector(".block"))));
	await page.getByRole("button", { name: "Run again" }).focus();
	await page.keyboard.press("Enter");
	await say(page, "finished", 8);
	verdict("again, by keyboard, all eight", true);
	await helps(page);
	await fits(page, "ws-server");
});
