/*
 * minimal-ws-server-threadpool-live: the pool, its tasks as dots
 *
 * SPDX-License-Identifier: MIT
 *
 * A snapshot says where each task is at one moment, 20 times a second. What is
 * faster is known otherwise: of a tile that arrives, that its task was SYNCING.
 */

const PITCH = 12;		/* pixels from dot to dot, as in live.css */
const MARGIN = 4;
const SYNC_SHOWN_MS = 150;
const DONE_SHOWN_MS = 3000;
const MOST_DONE = 72;		/* there is room for them on a phone */
const MOST_BARS = 26;		/* up to half a minute */

const byId = (id) => document.getElementById(id);

/* the letters of a snapshot; a resumed task waits for a thread as others do */
const ZONES = { "q": "queued", "w": "queued", "s": "syncing", "p": "parked",
		"d": "done" };

/* where dots are: each has a place that it keeps while it is there */
class Zone {
	constructor(area, count) {
		this.area = area;
		this.count = count;
		this.places = [];
	}

	enter(dot) {
		let n = this.places.indexOf(undefined);

		if (n < 0)
			n = this.places.length;
		this.places[n] = dot;
		dot.place = n;
		this.put(dot);
	}

	leave(dot) {
		this.places[dot.place] = undefined;
		while (this.places.length && !this.places.at(-1))
			this.places.pop();
	}

	/* beyond what there is room for, on top of others */
	put(dot) {
		const columns = Math.max(1, Math.floor(
			(this.area.offsetWidth - 2 * MARGIN) / PITCH));
		const rows = Math.max(1, Math.floor(
			(this.area.offsetHeight - MARGIN) / PITCH));
		const n = dot.place % (columns * rows);

		dot.move(this.area.offsetLeft + MARGIN + n % columns * PITCH,
			 this.area.offsetTop + MARGIN +
			 Math.floor(n / columns) * PITCH);
	}

	putAll() {
		for (const dot of this.places)
			if (dot)
				this.put(dot);
	}

	showCount(n) {
		if (this.count)
			this.count.textContent = n;
	}
}

class Dot {
	constructor(name, look) {
		this.name = name;
		this.zone = null;
		this.how = null;	/* it has ended so */
		this.heldUntil = 0;
		this.element = document.createElement("i");
		this.element.className = `dot ${look}`;
		byId("dots").append(this.element);
	}

	move(x, y) {
		this.element.style.transform = `translate(${x}px, ${y}px)`;
	}

	go(zone) {
		if (zone === this.zone)
			return;
		if (this.zone)
			this.zone.leave(this);
		this.zone = zone;
		zone.enter(this);
	}

	end(how) {
		this.how = how;
		this.element.classList.toggle("stopped", how === "stopped");
	}

	remove() {
		this.zone.leave(this);
		this.element.remove();
	}
}

export class Pool {
	/* owner(number): how the dots of a connection look */
	constructor(owner) {
		this.owner = owner;
		this.dots = new Map();
		this.done = [];		/* [dot, when] */
		this.lanes = [];
		this.last = null;
		this.history = [];	/* [when, ended, syncs], of this pool */
		this.zones = {};
		for (const name of ["queued", "syncing", "parked", "done"]) {
			const zone = byId(`zone-${name}`);

			this.zones[name] = new Zone(
				zone.querySelector(".area"),
				zone.querySelector(".count"));
		}
		for (const name of ["queue_us", "run_us", "sync_us"])
			for (let n = 0; n < MOST_BARS; n++)
				byId(name).append(
					document.createElement("span"));
		new ResizeObserver(() => this.putAll()).observe(byId("board"));
	}

	putAll() {
		for (const zone of [...Object.values(this.zones), ...this.lanes])
			zone.putAll();
	}

	setLanes(threads) {
		if (threads === this.lanes.length)
			return;
		for (const dot of [...this.dots.values()])
			if (this.lanes.includes(dot.zone))
				dot.go(this.zones.queued);
		byId("lanes").replaceChildren();
		this.lanes = Array.from({ length: threads }, (_, n) => {
			const item = document.createElement("li");
			const area = document.createElement("div");

			item.textContent = `thread ${n + 1}`;
			area.className = "area";
			area.setAttribute("aria-hidden", "true");
			item.append(area);
			byId("lanes").append(item);
			return new Zone(area);
		});
		this.putAll();
	}

	dotOf(name) {
		let dot = this.dots.get(name);

		if (!dot) {
			const number = Number(name.split(".")[0]);

			dot = new Dot(name, this.owner(number));
			this.dots.set(name, dot);
		}
		return dot;
	}

	/* a tile of this task has come */
	sent(name) {
		const dot = this.dotOf(name);

		dot.go(this.zones.syncing);
		dot.heldUntil = performance.now() + SYNC_SHOWN_MS;
	}

	/* the server has told how this one ended */
	ended(name, how) {
		this.dotOf(name).how = how;
	}

	/* each task is where it says, and who is in it no more has ended */
	snapshot(message) {
		const now = performance.now(), seen = new Set();

		if (!this.last || message.pool !== this.last.pool)
			this.history = [];
		this.last = message;
		this.setLanes(message.threads);
		for (const [name, letter, thread] of message.tasks) {
			const dot = this.dotOf(name);

			seen.add(name);
			if (dot.heldUntil > now)
				continue;
			if (letter === "x")
				dot.end("stopped");
			else if (letter === "r" && this.lanes[thread])
				dot.go(this.lanes[thread]);
			else
				dot.go(this.zones[ZONES[letter] || "queued"]);
		}
		for (const dot of this.dots.values())
			if (!seen.has(dot.name) && dot.heldUntil <= now)
				this.finish(dot, now);
		this.showNumbers(message);
		this.note(now);
	}

	/* Not there any more.  Who was told nothing of its end was stopped, or
	 * is somebody else's. */
	finish(dot, now) {
		const mine = this.owner(Number(dot.name.split(".")[0]));

		this.dots.delete(dot.name);
		dot.end(dot.how || (mine === "other" ? "gone" : "stopped"));
		dot.go(this.zones.done);
		this.done.push([dot, now]);
	}

	/* now and then: old dots go, rates are told */
	tick() {
		const now = performance.now();

		for (const dot of this.dots.values())
			if (dot.heldUntil && dot.heldUntil <= now && this.last &&
			    !this.last.tasks.some(([name]) => name === dot.name))
				this.finish(dot, now);
		for (const [dot, when] of this.done)
			dot.element.classList.toggle("old",
				now - when > DONE_SHOWN_MS / 2);
		while (this.done.length && (this.done.length > MOST_DONE ||
		       now - this.done[0][1] > DONE_SHOWN_MS))
			this.done.shift()[0].remove();
		this.note(now);
	}

	note(now) {
		const total = this.last && this.last.total;

		if (!total)
			return;
		this.history.push([now, total.finished + total.stopped,
				   total.syncs]);
		while (this.history.length > 2 &&
		       now - this.history[1][0] > 1000)
			this.history.shift();

		const [when, ended, syncs] = this.history[0];
		const secs = Math.max((now - when) / 1000, .5);
		const rate = (n) => `${Math.round(n / secs)} a second`;

		byId("rate-ended").textContent =
			rate(total.finished + total.stopped - ended);
		byId("rate-syncs").textContent = rate(total.syncs - syncs);
	}

	showNumbers(message) {
		const { now, total, threads } = message;
		/* RUNNING is also who was resumed and waits for a thread */
		const running = Math.min(now.running, threads);

		this.zones.queued.showCount(now.queued + now.running - running);
		this.zones.syncing.showCount(now.syncing);
		this.zones.parked.showCount(now.parked);
		byId("running-count").textContent = running;
		this.zones.done.showCount(total.finished + total.stopped);
		byId("total-finished").textContent = total.finished;
		byId("total-stopped").textContent = total.stopped;
		for (const name of ["queue_us", "run_us", "sync_us"])
			showHistogram(byId(name), message[name]);
	}
}

function time(us) {
	if (us < 1000)
		return `${us} \u00b5s`;
	if (us < 1000000)
		return `${Math.round(us / 1000)} ms`;
	return `${Math.round(us / 1000000)} s`;
}

/* the time under which that part of them is */
function under(counts, part) {
	const all = counts.reduce((sum, n) => sum + n, 0);
	let sum = 0;

	for (let n = 0; n < counts.length; n++) {
		sum += counts[n];
		if (sum >= all * part)
			return time(2 ** n);
	}
	return time(0);
}

function showHistogram(element, counts) {
	const most = Math.max(1, ...counts), bars = element.children;
	const text = counts.length ? `half under ${under(counts, .5)}, ` +
		`99 in 100 under ${under(counts, .99)}` : "none yet";

	for (let n = 0; n < bars.length; n++)
		bars[n].style.height = counts[n] ?
			`${Math.max(4, 100 * counts[n] / most)}%` : "0";
	element.setAttribute("aria-label", text);
	element.nextElementSibling.textContent = text;
}
