/*
 * minimal-ws-server-threadpool: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Opens CONNECTIONS ws connections and shows what their tasks report. Each
 * message is JSON:
 *
 *   {"task":"count-1","done":30,"of":100,"running":3,"threads":3,"queued":2}
 *
 * and the last one has "end", too: "finished", "stopped" or "refused".
 */

"use strict";

const CONNECTIONS = 8;
const PROTOCOL = "lws-minimal-threadpool";

const byId = (id) => document.getElementById(id);
let rows = [];

/* the ws server is where the page came from */
function serverUrl() {
	const url = new URL(".", window.location.href);

	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";

	return url.href;
}

function showPool(message) {
	const threads = byId("threads");

	if (threads.childElementCount !== message.threads)
		threads.replaceChildren(...Array.from(
			{ length: message.threads },
			() => document.createElement("span")));

	Array.from(threads.children).forEach((thread, n) =>
		thread.classList.toggle("busy", n < message.running));

	byId("running").textContent =
		`${message.running} of ${message.threads}`;
	byId("queued").textContent = message.queued;
}

/* what the last message said is no longer so */
function forgetPool() {
	byId("threads").replaceChildren();
	byId("running").textContent = "\u2013";
	byId("queued").textContent = "\u2013";
}

function showSummary() {
	const count = {};

	for (const row of rows)
		count[row.outcome] = (count[row.outcome] || 0) + 1;

	byId("summary").textContent = `${rows.length} connections: ` +
		Object.entries(count).map(([what, n]) => `${n} ${what}`)
				     .join(", ");
	byId("again").disabled = rows.some((row) => row.outcome === "open");
}

/* one connection and its row */
class Row {
	constructor(number) {
		const item = byId("row").content.cloneNode(true)
						.firstElementChild;

		this.item = item;
		this.bar = item.querySelector("progress");
		this.button = item.querySelector("button");
		this.outcome = "open";
		this.end = null;

		this.show("name", `#${number}`);
		this.show("state", "connecting");
		this.bar.setAttribute("aria-label", `connection ${number}`);
		this.button.setAttribute("aria-label",
					 `Close connection ${number}`);
		byId("tasks").append(item);

		this.ws = new WebSocket(serverUrl(), PROTOCOL);
		this.ws.onmessage = (event) => this.onMessage(event.data);
		this.ws.onclose = () => this.onClose();
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
		if (this.outcome === "open")
			this.show("state", message.done ? "counting" :
							  "accepted");
		this.end = message.end || null;
		showPool(message);
	}

	/* nothing needs to be said to the server: losing us stops the task */
	close() {
		this.finish("closed");
		this.ws.close();
	}

	onClose() {
		if (!this.end && this.outcome === "open")
			forgetPool();
		this.finish(this.end || "lost");
	}

	finish(outcome) {
		const [look, text] = {
			"finished": ["good", "finished"],
			"closed": ["plain", "closed by you"],
			"refused": ["bad", "refused: queue full"],
			"stopped": ["bad", "stopped by server"],
			"lost": ["bad", "connection lost"],
		}[outcome] || ["bad", outcome];

		if (this.outcome !== "open")
			return;

		this.outcome = outcome;
		this.item.classList.add(look);
		this.show("state", text);
		this.button.disabled = true;
		showSummary();
	}
}

function run() {
	byId("tasks").replaceChildren();
	rows = [];
	for (let number = 1; number <= CONNECTIONS; number++)
		rows.push(new Row(number));
	showSummary();
}

byId("again").addEventListener("click", run);
run();
