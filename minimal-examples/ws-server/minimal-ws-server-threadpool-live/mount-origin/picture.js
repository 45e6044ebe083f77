/*
 * minimal-ws-server-threadpool-live: a picture and its connection
 *
 * SPDX-License-Identifier: MIT
 *
 * To the server:   view NUMBER RE IM SPAN     these tiles, and no others
 *                  more N                     so many more may be sent
 *                  threads N                  another pool
 *                  watch                      what the pool does
 *
 * From it: JSON, and a binary message for each tile, coarse and fine: number of
 * the view (4 bytes, little endian), column, row, step, 0; then for each pixel
 * how long its point stays, in 2 bytes.
 */

const PROTOCOL = "lws-threadpool-live";
const HEADER = 8;
const AGAIN_MS = 2000;

/* a colour wheel of 16 steps between each two of these */
const STOPS = [[10, 16, 60], [38, 96, 190], [120, 205, 225], [252, 244, 205],
	       [242, 150, 40], [130, 28, 62]];

export function colour(count, iterations) {
	if (count >= iterations)
		return [0, 0, 0];

	const part = count & 15;
	const from = STOPS[(count >> 4) % STOPS.length];
	const to = STOPS[((count >> 4) + 1) % STOPS.length];

	return from.map((c, n) => (c * (16 - part) + to[n] * part) >> 4);
}

/* the ws server is where the page came from */
function serverUrl() {
	const url = new URL(".", window.location.href);

	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";

	return url.href;
}

/*
 * on: functions that are called with what it has to say, see below.
 * credit: how many tiles may be on their way; delay(): milliseconds that it
 * takes over each.
 */
export class Picture {
	constructor(canvas, credit, delay, on) {
		this.canvas = canvas;
		this.context = canvas.getContext("2d");
		this.credit = credit;
		this.delay = delay;
		this.on = on;
		this.view = 0;
		this.where = null;
		this.hello = null;
		this.fine = new Set();
		this.connect();
	}

	connect() {
		this.ws = new WebSocket(serverUrl(), PROTOCOL);
		this.ws.binaryType = "arraybuffer";
		this.ws.onmessage = (event) => {
			if (typeof event.data === "string")
				this.onText(JSON.parse(event.data));
			else
				this.onTile(event.data);
		};
		this.ws.onclose = () => {
			this.hello = null;
			this.on.lost(this);
			setTimeout(() => this.connect(), AGAIN_MS);
		};
	}

	say(text) {
		if (this.ws.readyState === WebSocket.OPEN)
			this.ws.send(text);
	}

	onText(message) {
		if ("you" in message) {
			this.hello = message;
			this.say(`more ${this.credit}`);
			this.on.hello(this, message);
			this.ask();
		} else if ("end" in message) {
			this.on.end(message.task, message.end);
		} else {
			this.on.pool(message);
		}
	}

	get tiles() {
		return this.hello ? this.hello.columns * this.hello.rows : 48;
	}

	get number() {
		return this.hello ? this.hello.you : 0;
	}

	get complete() {
		return this.fine.size === this.tiles;
	}

	/* another view: what there is of it is shown at once, blurred */
	look(where) {
		if (this.where)
			this.stretch(this.where, where);
		this.where = where;
		this.view++;
		this.ask();
	}

	ask() {
		const w = this.where;

		this.fine.clear();
		this.began = performance.now();
		this.took = 0;
		if (w && this.hello)
			this.say(`view ${this.view} ${w.re} ${w.im} ${w.span}`);
	}

	stretch(from, to) {
		const { width, height } = this.canvas;
		const scale = from.span / to.span, pixel = from.span / width;
		const x = (from.re - to.re) / pixel * scale;
		const y = (to.im - from.im) / pixel * scale;
		const old = document.createElement("canvas");

		old.width = width;
		old.height = height;
		old.getContext("2d").drawImage(this.canvas, 0, 0);
		this.context.clearRect(0, 0, width, height);
		this.context.drawImage(old,
			width / 2 + x - width / 2 * scale,
			height / 2 + y - height / 2 * scale,
			width * scale, height * scale);
	}

	onTile(buffer) {
		const data = new DataView(buffer);
		const view = data.getUint32(0, true);
		const column = data.getUint8(4), row = data.getUint8(5);
		const step = data.getUint8(6);
		const index = row * this.hello.columns + column;

		/* we have taken it when we say so */
		setTimeout(() => this.say("more 1"), this.delay());
		if (view !== this.view)
			return;
		this.draw(data, column, row, step);
		if (step === 1)
			this.fine.add(index);
		if (this.complete && !this.took)
			this.took = performance.now() - this.began;
		this.on.tile(`${this.number}.${view}.${index}`);
	}

	draw(data, column, row, step) {
		const tile = this.hello.tile, across = tile / step;
		const image = this.context.createImageData(tile, tile);

		for (let y = 0; y < tile; y++)
			for (let x = 0; x < tile; x++) {
				const n = Math.floor(y / step) * across +
					  Math.floor(x / step);
				const count = data.getUint16(HEADER + 2 * n,
							     true);

				image.data.set(
					colour(count, this.hello.iterations),
					4 * (y * tile + x));
				image.data[4 * (y * tile + x) + 3] = 255;
			}
		this.context.putImageData(image, column * tile, row * tile);
	}
}
