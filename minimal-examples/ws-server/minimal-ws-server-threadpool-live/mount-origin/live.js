/*
 * minimal-ws-server-threadpool-live: the page
 *
 * SPDX-License-Identifier: MIT
 *
 * Two pictures of the same view, each with a connection: yours, and that of a
 * slow reader. Yours watches the pool, too.
 */

import { Picture } from "./picture.js";
import { Pool } from "./pool.js";

const WHOLE = { re: -.5, im: 0, span: 4 };
const FACTOR = 2.5;		/* of a zoom */
const LEAST_SPAN = 1e-11;	/* doubles end there */
const KEY_STEP = 16;		/* pixels of the picture */
const POINT_MS = 1500;		/* a screen reader shall keep up */

const byId = (id) => document.getElementById(id);
const tasks = (n) => n === 1 ? "1 task" : `${n} tasks`;
const threads = (n) => n === 1 ? "1 thread" : `${n} threads`;
const workers = (n) => n === 1 ? "1 worker" : `${n} workers`;
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

const cross = { x: 0, y: 0 };	/* from the middle, in pixels of the picture */
let where = WHOLE, lost = false, waiting = 0, stoppedAt = null;

const pool = new Pool((number) => number === yours.number ? "mine" :
				  number === slow.number ? "slow" : "other");

const on = {
	lost() {
		lost = true;
	},
	hello(picture, hello) {
		lost = !yours.hello || !slow.hello;
		if (picture !== yours)
			return;
		byId("threads").max = Math.max(hello.max_threads,
					       hello.threads);
		setThreads(hello.threads);
		byId("threads-of").hidden = "workers" in hello;
		byId("workers").hidden = !hello.workers;
		picture.say("watch");
	},
	end(task, how) {
		pool.ended(task, how);
	},
	tile(task) {
		pool.sent(task);
		showTiles();
	},
	pool(message) {
		const ours = (task, letters) =>
			Number(task[0].split(".")[0]) === slow.number &&
			letters.includes(task[1]);

		pool.snapshot(message);
		waiting = message.tasks.filter((t) => ours(t, "s")).length;
		byId("slow-waiting").textContent = waiting;
		if (stoppedAt === null || stoppedAt.pool !== message.pool)
			stoppedAt = { pool: message.pool,
				      count: message.total.stopped };
		byId("stopped").textContent =
			tasks(message.total.stopped - stoppedAt.count);
		if (document.activeElement !== byId("threads"))
			setThreads(message.threads);
	},
};

const delay = () => Number(byId("delay").value);
const slow = new Picture(byId("slow"), 1, delay, on);
const yours = new Picture(byId("yours"), 48, () => 0, on);

function setThreads(n) {
	byId("threads").value = n;
	byId("threads-value").textContent = n;
}

function showTiles() {
	const count = (p) => `${p.fine.size} of ${p.tiles}`;

	byId("yours-tiles").textContent = count(yours);
	byId("slow-tiles").textContent = count(slow);
}

/* By what the tiles are computed.  Elsewhere, the pool's threads are not it;
 * and nobody may know how many workers there are. */
function by(hello, threadsHere) {
	if (!("workers" in hello))
		return `, by ${threads(threadsHere)}`;

	return hello.workers ? `, by ${workers(hello.workers)}` : "";
}

/* what the page is for, in a line */
function point() {
	const last = pool.last;

	if (lost)
		return "The connection is lost. Is the server there?";
	if (!last || !yours.hello || !slow.hello)
		return "Connecting";
	if (!yours.complete)
		return `${yours.fine.size} of ${yours.tiles} tiles are ` +
		       `yours${by(yours.hello, last.threads)}. ${waiting} of ` +
		       `the slow reader's tasks wait for it, without a thread.`;
	if (!slow.complete)
		return `Your picture took ${seconds(yours.took)}. The slow ` +
		       `reader has ${slow.fine.size} of ${slow.tiles} tiles: ` +
		       `${waiting} of its tasks wait for it, and hold up ` +
		       `nobody. Zoom, and see.`;
	return `Your picture took ${seconds(yours.took)}, the slow reader's ` +
	       `${seconds(slow.took)}, and no thread ever waited for it. ` +
	       `Zoom somewhere.`;
}

function showPoint() {
	const text = point();

	if (byId("point").textContent !== text)
		byId("point").textContent = text;
}

/* --- zooming --- */

function moveCross(x, y) {
	const { width, height } = byId("yours");

	cross.x = Math.max(-width / 2, Math.min(width / 2, x));
	cross.y = Math.max(-height / 2, Math.min(height / 2, y));
	byId("cross").style.left = `${50 + 100 * cross.x / width}%`;
	byId("cross").style.top = `${50 + 100 * cross.y / height}%`;
}

function look(to) {
	const zoom = WHOLE.span / to.span;

	where = to;
	moveCross(0, 0);
	if (pool.last)
		stoppedAt = { pool: pool.last.pool,
			      count: pool.last.total.stopped };
	yours.look(to);
	slow.look(to);
	showTiles();
	byId("zoom").textContent = zoom < 10 ?
		`${Math.round(zoom * 10) / 10}\u00d7` :
		`${Math.round(zoom).toLocaleString("en")}\u00d7`;
}

function zoomIn(x, y) {
	const pixel = where.span / byId("yours").width;

	if (where.span / FACTOR < LEAST_SPAN)
		return;
	look({ re: where.re + x * pixel, im: where.im - y * pixel,
	       span: where.span / FACTOR });
}

function zoomOut() {
	if (where.span >= WHOLE.span)
		look(WHOLE);
	else
		look({ ...where, span: Math.min(where.span * FACTOR,
						WHOLE.span) });
}

const KEYS = {
	"ArrowLeft": () => moveCross(cross.x - KEY_STEP, cross.y),
	"ArrowRight": () => moveCross(cross.x + KEY_STEP, cross.y),
	"ArrowUp": () => moveCross(cross.x, cross.y - KEY_STEP),
	"ArrowDown": () => moveCross(cross.x, cross.y + KEY_STEP),
	"Enter": () => zoomIn(cross.x, cross.y),
	" ": () => zoomIn(cross.x, cross.y),
	"+": () => zoomIn(cross.x, cross.y),
	"Backspace": zoomOut,
	"-": zoomOut,
	"Home": () => look(WHOLE),
};

byId("stage").addEventListener("keydown", (event) => {
	const act = KEYS[event.key];

	if (!act || event.ctrlKey || event.altKey || event.metaKey)
		return;
	event.preventDefault();
	act();
});

byId("stage").addEventListener("click", (event) => {
	const box = byId("yours").getBoundingClientRect();
	const { width, height } = byId("yours");

	zoomIn((event.clientX - box.left) / box.width * width - width / 2,
	       (event.clientY - box.top) / box.height * height - height / 2);
});

byId("in").addEventListener("click", () => zoomIn(cross.x, cross.y));
byId("out").addEventListener("click", zoomOut);
byId("whole").addEventListener("click", () => look(WHOLE));

byId("threads").addEventListener("input", (event) => {
	setThreads(event.target.value);
	yours.say(`threads ${event.target.value}`);
});

byId("kill").addEventListener("click", () => yours.say("kill"));

byId("delay").addEventListener("input", (event) => {
	byId("delay-value").textContent = seconds(event.target.value);
});

look(WHOLE);
setInterval(() => pool.tick(), 200);
setInterval(showPoint, POINT_MS);
