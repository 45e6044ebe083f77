/*
 * The images example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, verdict, has, helps, fits, run } = require("../browser.js");

const makes = (page) => page.getByRole("button", { name: "Make thumbnails" });

run(async (page) => {
	const notice = page.locator("#notice");

	await page.goto(url);
	await page.getByRole("button", { name: "Draw me one" }).focus();
	await page.keyboard.press("Enter");
	await page.waitForFunction(() => document.querySelectorAll(
		"#thumbnails canvas").length === 4);
	const widths = await page.evaluate(() => [...document.querySelectorAll(
		"#thumbnails canvas")].map((canvas) => canvas.width));

	verdict("four thumbnails", widths.join() === "96,240,480,960", widths);

	await page.locator("#file").setInputFiles({ name: "no.png",
		mimeType: "image/png", buffer: Buffer.from("no picture") });
	await makes(page).click();
	await has(page, "notice", /neither PNG nor JPEG/);
	verdict("what is no picture is told of", true);
	verdict("and can be tried again", await makes(page).isEnabled(),
		await notice.innerText());
	await helps(page);
	await fits(page, "images");
}, /415|ERR_ABORTED/);
