/*
 * minimal-ws-server-threadpool: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Opens CONNECTIONS ws connections and shows what their tasks report. Each
 * message is JSON:
 *
 *   {"task":"count-1","done":30,"of":100,"thread":2,
 *    "running":3,"threads":3,"queued":2}
 *
 * where thread is the one that did the last steps, 0 before the first; and the
 * last message has "end", too: "finished", "stopped" or "refused".
 */

"use strict";

const CONNECTIONS = 8;
const MAX_LANES = 12;
const MAX_BLOCKS = 60;		/* of a lane: more than there is room for */
const PROTOCOL = "lws-minimal-threadpool";

/* how a connection can end: a look, a sign that needs no colour, and a word */
const OUTCOMES = {
	"finished": ["good", "\u2713", "finished"],
	"closed": ["plain", "\u2715", "closed by you"],
	"stopped": ["bad", "\u25a0", "stopped by the server"],
	"refused": ["bad", "\u2298", "refused: queue full"],
	"lost": ["bad", "\u26a0", "connection lost"],
};

const byId = (id) => document.getElementById(id);
const tasks = (n) => n === 1 ? "1 task" : `${n} tasks`;
const threads = (n) => n === 1 ? "1 thread" : `${n} threads`;
let run = null;

/* the ws server is where the page came from */
function serverUrl() {
	const url = new URL(".", window.location.href);

	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";

	return url.href;
}

function fromTemplate(id) {
	return byId(id).content.cloneNode(true).firstElementChild;
}

/* one thread of the pool: the blocks that it has done */
class Lane {
	constructor(number) {
		this.item = fromTemplate("lane");
		this.blocks = this.item.querySelector(".blocks");
		this.turns = 0;
		this.light = this.item.querySelector(".light");
		this.item.querySelector(".who").textContent =
			`thread ${number}`;
		this.setBusy(false);
		this.show();
		byId("lanes").append(this.item);
	}

	show() {
		this.item.querySelector(".turns").textContent =
			this.turns === 1 ? "1 block" : `${this.turns} blocks`;
	}

	add(number) {
		const block = document.createElement("span");

		block.className = `block task-${(number - 1) % 8}`;
		block.textContent = number;
		this.blocks.append(block);
		if (this.blocks.childElementCount > MAX_BLOCKS)
			this.blocks.firstElementChild.remove();
		this.turns++;
		this.show();
	}

	setBusy(busy) {
		this.light.textContent = busy ? "\u25cf" : "\u25cb";
	}
}

/* one connection and its row */
class Row {
	constructor(run, number) {
		const item = fromTemplate("row");

		this.run = run;
		this.number = number;
		this.item = item;
		this.bar = item.querySelector("progress");
		this.button = item.querySelector("button");
		this.done = 0;
		this.outcome = null;
		this.end = null;

		this.show("chip", number);
		item.querySelector(".chip").classList
			.add(`task-${(number - 1) % 8}`);
		this.show("name", `#${number}`);
		this.show("text", "connecting");
		this.bar.setAttribute("aria-label", `connection ${number}`);
		this.button.setAttribute("aria-label",
					 `Close connection ${number}`);
		byId("tasks").append(item);

		this.ws = new WebSocket(serverUrl(), PROTOCOL);
		this.ws.onmessage = (event) => this.onMessage(event.data);
		this.ws.onclose = () => this.finish(this.end || "lost");
		this.button.onclick = () => this.close();
	}

	show(what, text) {
		this.item.querySelector(`.${what}`).textContent = text;
	}

	onMessage(text) {
		const message = JSON.parse(text);

		this.bar.max = message.of;
		this.bar.value = message.done;
		this.show("name", message.task);
		this.show("count", `${message.done} / ${message.of}`);
		this.show("text", message.done ? "counting" : "accepted");
		this.end = message.end || null;
		this.run.onMessage(this, message);
		this.done = message.done;
	}

	/* nothing needs to be said to the server: losing us stops the task */
	close() {
		this.finish("closed");
		this.leave();
	}

	/* whatever still comes is not for the page */
	leave() {
		this.ws.onmessage = this.ws.onclose = null;
		this.ws.close();
	}

	finish(outcome) {
		const [look, sign, text] = OUTCOMES[outcome] ||
					   ["bad", "?", outcome];

		if (this.outcome)
			return;

		this.outcome = outcome;
		this.item.classList.add("over", look);
		this.show("sign", sign);
		this.show("text", text);
		/* not disabled, which would lose the place of the keyboard */
		this.button.setAttribute("aria-disabled", "true");
		this.run.onFinish();
	}
}

/* all that is on the page, until it is run again */
class Run {
	constructor() {
		this.lanes = [];
		this.pool = null;	/* what the last message said of it */
		this.reports = 0;
		this.began = performance.now();

		byId("tasks").replaceChildren();
		byId("lanes").replaceChildren();
		byId("summary").textContent = "";
		this.rows = Array.from({ length: CONNECTIONS },
				       (_, n) => new Row(this, n + 1));
		this.showPoint();
	}

	going() {
		return this.rows.filter((row) => !row.outcome).length;
	}

	onMessage(row, message) {
		this.pool = message;
		while (this.lanes.length < Math.min(message.threads, MAX_LANES))
			this.lanes.push(new Lane(this.lanes.length + 1));
		if (message.done > row.done) {
			this.reports++;
			if (this.lanes[message.thread - 1])
				this.lanes[message.thread - 1].add(row.number);
		}
		this.showPoint();
	}

	onFinish() {
		const count = {};

		for (const row of this.rows)
			if (row.outcome)
				count[row.outcome] =
					(count[row.outcome] || 0) + 1;
		byId("summary").textContent = Object.entries(count).map(
			([what, n]) => `${n} ${what}`).join(", ");
		this.showPoint();
	}

	/* what the page is for, in a line */
	showPoint() {
		const going = this.going(), pool = this.pool;
		const busy = pool && going ? Math.min(pool.running, going) : 0;
		const secs = ((performance.now() - this.began) / 1000)
				.toFixed(1);
		let text = "Connecting";

		this.lanes.forEach((lane, n) => lane.setBusy(n < busy));
		if (going && pool)
			text = `${tasks(going)} on ${threads(pool.threads)}: ` +
			       `${busy} at work, ${going - busy} waiting for ` +
			       `a turn, none for a reader. ` +
			       `${this.reports} reports sent.`;
		else if (!going && this.reports)
			text = `${tasks(CONNECTIONS)} on ` +
			       `${threads(pool.threads)}: ` +
			       `${this.reports} reports in ${secs} s, and no ` +
			       `thread ever waited for a reader.`;
		else if (!going)
			text = "No task ran: is the server there?";
		byId("point").textContent = text;
	}

	/* the tasks of those that are still open stop at their next step */
	end() {
		for (const row of this.rows)
			row.leave();
	}
}

function runAgain() {
	if (run)
		run.end();
	run = new Run();
}

byId("again").addEventListener("click", runAgain);
runAgain();
