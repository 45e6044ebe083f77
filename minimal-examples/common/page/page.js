/*
 * minimal-examples/common: what the pages do alike
 *
 * SPDX-License-Identifier: MIT
 */

"use strict";

const AGAIN_MS = 1000;	/* from a lost connection to the next try */

const byId = (id) => document.getElementById(id);

/* shows text; look is "", "good" or "bad", and never says more than the text */
function say(id, text, look = "") {
	const item = byId(id);

	/* a screen reader reads what has changed */
	if (item.textContent !== text)
		item.textContent = text;
	item.classList.toggle("good", look === "good");
	item.classList.toggle("bad", look === "bad");
}

/*
 * A ws connection to where the page came from, which is made again when it is
 * lost. on.open(), on.message(object) and on.closed() are told of it.
 */
class Connection {
	constructor(protocol, on) {
		this.protocol = protocol;
		this.on = on;
		this.open();
	}

	open() {
		const url = new URL("/", window.location.href);

		url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
		this.ws = new WebSocket(url.href, this.protocol);
		this.ws.onopen = () => this.on.open();
		this.ws.onmessage = (event) =>
			this.on.message(JSON.parse(event.data));
		this.ws.onclose = () => {
			this.on.closed();
			window.setTimeout(() => this.open(), AGAIN_MS);
		};
	}

	/* returns whether it could be sent */
	send(text) {
		if (this.ws.readyState !== WebSocket.OPEN)
			return false;
		this.ws.send(text);

		return true;
	}

	/* a new connection in place of this one, at once */
	renew() {
		this.ws.onclose = this.ws.onmessage = this.ws.onopen = null;
		this.ws.close();
		this.on.closed();
		this.open();
	}
}
