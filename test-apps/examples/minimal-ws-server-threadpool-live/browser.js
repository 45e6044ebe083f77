/*
 * The live example's page in a browser: see ../browser.js
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const { url, directory, verdict, has, helps, run } = require("../browser.js");

const TILES = 48, WIDTH = 512, HEIGHT = 384, ITERATIONS = 1000;
const views = [];

/* --- the reference: the points by the definition, and the page's colours --- */

function escape(re, im) {
	let x = 0, y = 0, n = 0;

	for (; n < ITERATIONS && x * x + y * y <= 4; n++)
		[x, y] = [x * x - y * y + re, 2 * x * y + im];

	return n;
}

const WHEEL = [];
{
	const stops = ["0a103c", "2660be", "78cde1", "fcf4cd", "f29628",
		       "821c3e"].map((hex) => [0, 2, 4].map((n) =>
				parseInt(hex.slice(n, n + 2), 16)));

	stops.forEach((from, s) => {
		const to = stops[(s + 1) % stops.length];

		for (let k = 0; k < 16; k++)
			WHEEL.push(from.map((c, n) => Math.floor(
				(c * (16 - k) + to[n] * k) / 16)));
	});
}

function reference([re, im, span]) {
	const pixels = [], pixel = span / WIDTH;

	for (let y = 0; y < HEIGHT; y++)
		for (let x = 0; x < WIDTH; x++) {
			const n = escape(re + (x - WIDTH / 2) * pixel,
					 im - (y - HEIGHT / 2) * pixel);

			pixels.push(...(n === ITERATIONS ? [0, 0, 0] :
					WHEEL[n % WHEEL.length]), 255);
		}

	return pixels;
}

async function comparePixels(page, what) {
	const right = reference(views.at(-1));
	const got = await page.evaluate(() => {
		const canvas = document.getElementById("yours");
		const copy = document.createElement("canvas");
		const context = copy.getContext("2d",
						{ willReadFrequently: true });

		copy.width = canvas.width;
		copy.height = canvas.height;
		context.drawImage(canvas, 0, 0);
		return Array.from(context.getImageData(
			0, 0, copy.width, copy.height).data);
	});
	let bad = 0;

	for (let n = 0; n < right.length; n += 4)
		bad += [0, 1, 2, 3].some((k) => right[n + k] !== got[n + k]);
	verdict(what, !bad && got.length === right.length,
		`${bad} of ${right.length / 4} pixels are wrong`);
}

/* --- what is watched all the while --- */

/* the views that it asks for */
function listen(page) {
	page.on("websocket", (ws) => ws.on("framesent", ({ payload }) => {
		const [what, , ...numbers] = String(payload).split(" ");

		if (what === "view")
			views.push(numbers.map(Number));
	}));
}

/* in the page, at each frame: in which zones dots of ours have been, and how
 * many are now.  A dot's place is where it is on the way to. */
function watchDots() {
	window.seen = {};
	window.dotsNow = {};

	const look = () => {
		const board = document.getElementById("board");
		const now = {};

		for (const dot of document.querySelectorAll("#dots .dot.mine")) {
			const [, x, y] = dot.style.transform.match(
				/translate\((.*)px, (.*)px\)/).map(Number);
			const zone = [...board.querySelectorAll(".area")].find(
				(a) => x >= a.offsetLeft && y >= a.offsetTop &&
				x < a.offsetLeft + a.offsetWidth &&
				y < a.offsetTop + a.offsetHeight);
			const name = !zone ? "nowhere" :
				zone.closest("#lanes") ? "running" :
				zone.closest(".zone").id.slice(5);

			now[name] = (now[name] || 0) + 1;
			window.seen[name] = Math.max(window.seen[name] || 0,
						     now[name]);
		}
		window.dotsNow = now;
		requestAnimationFrame(look);
	};
	window.addEventListener("DOMContentLoaded", look);
}

const text = (page, id) => page.locator(`#${id}`).innerText();

function whenComplete(page) {
	return page.waitForFunction((tiles) => document.getElementById(
		"yours-tiles").textContent === `${tiles} of ${tiles}`, TILES);
}

/* act() asks for another view, of which the middle is near (x, y) of the last,
 * in pixels from its middle */
async function zooms(page, what, act, [x, y], factor) {
	const [re, im, span] = views.at(-1), before = views.length;

	/* when both pictures have asked, neither has a tile any more */
	await act();
	while (views.length < before + 2)
		await page.waitForTimeout(20);

	const [newRe, newIm, newSpan] = views.at(-1);
	const pixel = span / WIDTH;

	verdict(what, Math.abs(newRe - re - x * pixel) <= 2 * pixel &&
		Math.abs(newIm - im + y * pixel) <= 2 * pixel &&
		Math.abs(newSpan * factor / span - 1) < 1e-6, views.slice(-3));
}

async function clickAt(page, x, y) {
	const box = await page.locator("#yours").boundingBox();

	await page.mouse.click(box.x + (x + WIDTH / 2) / WIDTH * box.width,
			       box.y + (y + HEIGHT / 2) / HEIGHT * box.height);
}

/* --- the parts --- */

async function beginning(page) {
	await page.goto(url);
	await whenComplete(page);
	await comparePixels(page, "the whole set, pixel for pixel");
	await page.waitForFunction(() => window.dotsNow.nowhere === undefined &&
		Object.keys(window.dotsNow).every((zone) => zone === "done"));
	const zones = ["queued", "running", "syncing", "parked", "done"];
	let seen = await page.evaluate(() => window.seen);

	/* a page that has no processor for a second may see none of it parked */
	for (let n = 0; n < 10 && !zones.every((zone) => seen[zone]); n++) {
		await page.getByRole("button", { name: "Whole set" }).click();
		await whenComplete(page);
		seen = await page.evaluate(() => window.seen);
	}
	for (const zone of zones)
		verdict(`a dot was ${zone}`, seen[zone] > 0, seen);
	verdict("as many run as there are threads, and no more",
		seen.running <= 3, seen);
	verdict("each dot has a place", !seen.nowhere, seen);
	verdict("tasks are counted", Number(await text(page,
		"total-finished")) >= TILES, await text(page, "total-finished"));
}

/* A view in the place of another that is half there.  A loaded machine may be
 * too late with the second: so more than once. */
async function stopping(page) {
	let stopped = 0;

	await page.locator("#stage").focus();
	for (let n = 0; n < 50 && !stopped; n++) {
		await page.keyboard.press(n % 2 ? "Backspace" : "Enter");
		await page.waitForTimeout(300);
		/* the number comes with the next snapshot */
		stopped = await page.evaluate(() => document.querySelector(
			".dot.mine.stopped") ? parseInt(document.getElementById(
			"stopped").textContent, 10) : 0);
	}
	verdict("a zoom stops tasks, which are seen to be", stopped > 0,
		stopped);
}

async function zooming(page) {
	await zooms(page, "a click zooms there",
		    () => clickAt(page, -120, 10), [-120, 10], 2.5);
	await zooms(page, "and another one", () => clickAt(page, 30, -40),
		    [30, -40], 2.5);
	await stopping(page);
	await whenComplete(page);
	await comparePixels(page, "the zoomed picture, pixel for pixel");

	await page.locator("#stage").focus();
	await zooms(page, "keys zoom", async () => {
		for (const key of ["ArrowRight", "ArrowRight", "ArrowUp",
				   "Enter"])
			await page.keyboard.press(key);
	}, [32, -16], 2.5);
	await zooms(page, "Backspace zooms out",
		    () => page.keyboard.press("Backspace"), [0, 0], .4);
	await zooms(page, "a button zooms in",
		    () => page.getByRole("button", { name: "Zoom in" }).click(),
		    [0, 0], 2.5);
	await whenComplete(page);
	await page.locator("#stage").focus();
	await page.keyboard.press("Home");
	await page.waitForFunction(() => document.getElementById(
		"zoom").textContent === "1\u00d7");
	verdict("Home shows the whole set", views.at(-1).join() === "-0.5,0,4",
		views.at(-1));
}

async function sliding(page) {
	await page.getByRole("slider", { name: "Time for each tile" }).focus();
	await page.keyboard.press("End");
	verdict("a slider by keyboard",
		await text(page, "delay-value") === "2.0 s");
	await whenComplete(page);
	await page.waitForFunction(() => Number(document.getElementById(
		"slow-waiting").textContent) > 20);
	const got = parseInt(await text(page, "slow-tiles"), 10);

	verdict("the slow reader's tasks wait, and yours do not", got < TILES,
		got);
	await has(page, "point", /slow reader has|reader's/);

	await page.getByRole("slider", { name: "Threads" }).focus();
	await page.keyboard.press("End");
	await page.waitForFunction(() => document.querySelectorAll(
		"#lanes li").length === 8);
	verdict("eight threads have eight lanes", true);
	await page.keyboard.press("Home");
	await page.waitForFunction(() => document.querySelectorAll(
		"#lanes li").length === 1);
	await page.keyboard.press("ArrowRight");
	await page.keyboard.press("ArrowRight");
	await page.waitForFunction(() => document.querySelectorAll(
		"#lanes li").length === 3);
	await whenComplete(page);
	await comparePixels(page, "other threads, the same pixels");
}

async function helping(page) {
	const named = async (role, name) =>
		await page.getByRole(role, { name, exact: true }).count() === 1;

	verdict("names for a screen reader",
		await named("application", "Mandelbrot set") &&
		await named("slider", "Threads") &&
		await named("slider", "Time for each tile") &&
		await named("img", "The slow reader's picture") &&
		await named("heading", "The pool") &&
		await page.locator("#point[aria-live=polite]").count() === 1 &&
		/^half under/.test(await page.locator("#run_us").getAttribute(
			"aria-label")));
	await helps(page);
}

async function looking(page, name, width, height, scheme) {
	await page.setViewportSize({ width, height });
	await page.emulateMedia({ colorScheme: scheme,
		reducedMotion: name === "narrow-dark" ? "reduce" :
			       "no-preference" });
	await page.locator("#stage").focus();
	await page.keyboard.press("Home");
	await whenComplete(page);
	await page.waitForFunction(() => Number(document.getElementById(
		"slow-waiting").textContent) > 0);
	const wide = await page.evaluate(() => [
		document.documentElement.scrollWidth,
		document.documentElement.clientWidth]);

	verdict(`${name}: nothing is wider than the screen`,
		wide[0] <= wide[1], wide);
	verdict(`${name}: each dot has a place`, await page.evaluate(() =>
		!window.dotsNow.nowhere));
	await page.screenshot({ path: `${directory}/${name}.png`,
				fullPage: name.startsWith("narrow") });
}

run(async (page) => {
	listen(page);
	await page.addInitScript(watchDots);
	await beginning(page);
	await zooming(page);
	await sliding(page);
	await helping(page);
	await looking(page, "wide-light", 1200, 940, "light");
	await looking(page, "wide-dark", 1200, 940, "dark");
	await looking(page, "narrow-light", 360, 740, "light");
	await looking(page, "narrow-dark", 360, 740, "dark");
	verdict("nothing moves where motion is to be reduced",
		await page.evaluate(() => getComputedStyle(document.
			querySelector(".dot")).transitionDuration === "0s"));
});
