/*
 * The cluster's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, directory, verdict, has, helps, run } = require("../browser.js");

const whole = (page) => has(page, "yours-tiles", /^48 of 48$/);

/* the dots are on their way to their places after another width */
async function looks(page, width, colorScheme) {
	await page.setViewportSize({ width, height: 900 });
	await page.emulateMedia({ colorScheme });
	await page.waitForFunction(() => document.documentElement.scrollWidth <=
		document.documentElement.clientWidth);
	verdict(`nothing is wider than ${width} in ${colorScheme}`, true);
	await page.screenshot({ fullPage: width < 400,
		path: `${directory}/cluster-${width}-${colorScheme}.png` });
}

run(async (page) => {
	const kill = page.getByRole("button", { name: "Kill a worker" });

	await page.goto(url);
	await whole(page);
	verdict("a whole picture", true);
	verdict("there is a button to kill a worker", await kill.isVisible());
	verdict("and no slider of threads", !await page.locator("#threads").
		isVisible());

	await page.getByRole("button", { name: "Whole set" }).click();
	await has(page, "yours-tiles", /^[1-9][0-9]? of 48$/);
	await kill.click();
	/* it takes the lease of two seconds, and the line is new each 1.5 */
	await has(page, "point", /are yours, by 2 workers\./);
	verdict("the picture is by workers, and not by threads", true);
	await whole(page);
	verdict("a worker is killed, and the picture is completed", true);
	await helps(page);
	for (const scheme of ["light", "dark"])
		for (const width of [1200, 360])
			await looks(page, width, scheme);
});
