/*
 * minimal-ws-server-threadpool-sqlite: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Sends SQL, or "" to stop, and shows the last rows and how many there were.
 */

"use strict";

const SHOWN = 20;		/* rows of the table */
const RESULTS = {
	"finished": ["That was all.", "good"],
	"stopped": ["Stopped.", ""],
};

const many = (n) => n.toLocaleString("en");
let rows = [];			/* the last ones */
let count = 0;
let began = 0;
let going = false;
let due = false;		/* the table is to be drawn */

function cell(kind, value) {
	const item = document.createElement(kind);

	if (kind === "th")
		item.scope = "col";
	if (value === null)
		item.className = "null";
	item.textContent = value === null ? "NULL" : value;

	return item;
}

function line(kind, values) {
	const item = document.createElement("tr");

	item.append(...values.map((value) => cell(kind, value)));

	return item;
}

function draw() {
	const secs = (performance.now() - began) / 1000;

	due = false;
	byId("rows").replaceChildren(...rows.map((row) => line("td", row)));
	say("count", `${many(count)} ${count === 1 ? "row" : "rows"} in ` +
		     `${secs.toFixed(1)} s.`);
}

/* not for each message: some hundred come in a second */
function drawSoon() {
	if (!due)
		window.requestAnimationFrame(draw);
	due = true;
}

function onRows(more) {
	count += more.length;
	rows = rows.concat(more.slice(-SHOWN)).slice(-SHOWN);
	drawSoon();
}

function onEnd(message) {
	const [text, look] = RESULTS[message.end] || [message.error, "bad"];

	if (!going)
		return;
	going = false;
	draw();
	say("notice", text, look);
}

const connection = new Connection("lws-threadpool-sqlite", {
	open() {
		say("notice", "Connected.");
	},
	closed() {
		going = false;
		say("notice", "The connection is lost.", "bad");
	},
	message(message) {
		if (message.columns)
			byId("names").replaceChildren(
				line("th", message.columns));
		else if (message.rows && !message.end)
			onRows(message.rows);
		else
			onEnd(message);
	},
});

function run() {
	if (!connection.send(byId("sql").value)) {
		say("notice", "There is no connection just now.", "bad");
		return;
	}
	rows = [];
	count = 0;
	going = true;
	began = performance.now();
	byId("names").replaceChildren();
	draw();
	say("notice", "The query runs.");
}

byId("query").addEventListener("submit", (event) => {
	event.preventDefault();
	run();
});
byId("stop").addEventListener("click", () => connection.send(""));
/* as in other tools for SQL */
byId("sql").addEventListener("keydown", (event) => {
	if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
		event.preventDefault();
		run();
	}
});
