/*
 * The SQLite example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, verdict, has, helps, fits, run } = require("../browser.js");

run(async (page) => {
	const sql = page.locator("#sql"), count = page.locator("#count");

	await page.goto(url);
	await has(page, "notice", /Connected/);
	const many = await sql.inputValue();

	await sql.fill("SELECT 1 AS a, '<b>' AS b UNION ALL SELECT 2, NULL");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	await page.waitForFunction(() => document.querySelectorAll(
		"#rows tr").length === 2);
	verdict("the rows, as text", (await page.locator("#rows").innerText()).
		includes("<b>"));
	verdict("the names of the columns", /a\s+b/.test(
		await page.locator("#names").innerText()));

	await sql.fill("nonsense");
	await page.getByRole("button", { name: "Run" }).click();
	await page.waitForFunction(() => document.body.innerText.includes(
		"syntax error"));
	verdict("SQL that is wrong is told of", true);

	await sql.fill(many);
	await page.getByRole("button", { name: "Run" }).click();
	await has(page, "count", /\d{4,}|\d,\d{3}/);
	await page.getByRole("button", { name: "Stop" }).click();
	await page.waitForFunction(() => /stopped/i.test(
		document.body.innerText));
	verdict("ten million rows are stopped in the middle",
		!/10,?000,?000 /.test(await count.innerText()),
		await count.innerText());
	await helps(page);
	await fits(page, "sqlite");
});
