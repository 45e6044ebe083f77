/*
 * minimal-ws-server-threadpool-chat: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Sends "say TEXT" and "name NAME", and shows what comes.
 */

"use strict";

const KEPT = 200;		/* lines on the page */

let heard = 0;			/* the number of the last line */

function addLine(...parts) {
	const list = byId("lines"), item = document.createElement("li");
	/* whoever has scrolled back stays there */
	const follow = list.scrollTop + list.clientHeight >=
		       list.scrollHeight - 8;

	item.append(...parts);
	list.append(item);
	if (list.childElementCount > KEPT)
		list.firstElementChild.remove();
	if (follow)
		list.scrollTop = list.scrollHeight;
}

function span(look, text) {
	const item = document.createElement("span");

	item.className = look;
	item.textContent = text;

	return item;
}

const connection = new Connection("lws-threadpool-chat", {
	open() {
		say("notice", "Connected.");
		if (byId("name").value)
			connection.send(`name ${byId("name").value}`);
	},
	closed() {
		say("notice", "The connection is lost.", "bad");
	},
	message(message) {
		if (message.error) {
			say("notice", `The server says: ${message.error}.`,
			    "bad");
		} else if (message.named) {
			say("notice", `You are ${byId("name").value}.`, "good");
		} else if (message.members) {
			say("room-title", message.members === 1 ?
			    "The room: only you" :
			    `The room: ${message.members} are here`);
		} else if (message.missed) {
			addLine(span("missed", `${message.missed} lines were ` +
						"missed"));
		} else {
			/* after a lost connection the last ones come again */
			if (message.line > heard)
				addLine(span("from", message.from),
					message.text);
			heard = Math.max(heard, message.line);
		}
	},
});

function send(text) {
	if (connection.send(text))
		return true;
	say("notice", "There is no connection just now.", "bad");

	return false;
}

byId("say").addEventListener("submit", (event) => {
	event.preventDefault();
	if (send(`say ${byId("text").value}`))
		byId("text").value = "";
	byId("text").focus();
});
byId("rename").addEventListener("submit", (event) => {
	event.preventDefault();
	send(`name ${byId("name").value}`);
});
byId("count").addEventListener("click", () => {
	for (let n = 1; n <= 10; n++)
		send(`say ${n}`);
});
