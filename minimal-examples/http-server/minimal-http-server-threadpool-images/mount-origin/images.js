/*
 * minimal-http-server-threadpool-images: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Sends a picture, and shows each thumbnail as it comes.  They are drawn on a
 * canvas, so that nothing but this server is a source of pictures.
 */

"use strict";

const DRAWN = { width: 3000, height: 2000, circles: 150 };

let going = null;		/* an AbortController */

/* --- the answer: a line, so many bytes, a line, ... "end" --- */

class Answer {
	constructor(body) {
		this.reader = body.getReader();
		this.bytes = new Uint8Array(0);
	}

	async more() {
		const { done, value } = await this.reader.read();

		if (done)
			throw new Error("the answer ended early");
		const both = new Uint8Array(this.bytes.length + value.length);

		both.set(this.bytes);
		both.set(value, this.bytes.length);
		this.bytes = both;
	}

	async take(length) {
		while (this.bytes.length < length)
			await this.more();
		const taken = this.bytes.slice(0, length);

		this.bytes = this.bytes.slice(length);

		return taken;
	}

	async line() {
		while (!this.bytes.includes(10))
			await this.more();
		const taken = await this.take(this.bytes.indexOf(10) + 1);

		return new TextDecoder().decode(taken).trim();
	}
}

async function show(png, after) {
	const picture = await createImageBitmap(new Blob([png]));
	const figure = document.createElement("figure");
	const canvas = document.createElement("canvas");
	const caption = document.createElement("figcaption");
	const { width, height } = picture;

	canvas.width = width;
	canvas.height = height;
	canvas.getContext("2d").drawImage(picture, 0, 0);
	canvas.setAttribute("role", "img");
	canvas.setAttribute("aria-label", `thumbnail, ${width} × ${height}`);
	caption.textContent = `${width} × ${height}, ` +
		`${Math.ceil(png.length / 1000)} kB, after ${after} s`;
	figure.append(canvas, caption);
	byId("thumbnails").append(figure);
}

async function showAll(body, began) {
	const answer = new Answer(body);
	const secs = () => ((performance.now() - began) / 1000).toFixed(2);
	let count = 0;

	for (;;) {
		const [word, , , length] = (await answer.line()).split(" ");

		if (word === "end")
			return `${count} thumbnails in ${secs()} s.`;
		await show(await answer.take(Number(length)), secs());
		say("notice", `${++count} of them so far.`);
	}
}

/* --- the request --- */

async function refusal(reply) {
	const again = reply.headers.get("retry-after");
	const text = (await reply.text()).trim();

	return `Refused (${reply.status}): ${text}` +
	       (again ? `; try again in ${again} s.` : ".");
}

async function send(picture) {
	const began = performance.now();

	if (going)
		going.abort();
	const mine = going = new AbortController();

	byId("cancel").disabled = false;
	byId("thumbnails").replaceChildren();
	say("notice", `Sending ${Math.ceil(picture.size / 1000)} kB.`);
	try {
		const reply = await fetch("/thumbnails", {
			method: "POST", body: picture, signal: mine.signal
		});

		if (reply.ok)
			say("notice", await showAll(reply.body, began), "good");
		else
			say("notice", await refusal(reply), "bad");
	} catch (error) {
		if (going === mine)
			say("notice", mine.signal.aborted ? "Cancelled." :
			    "The connection was lost, or the upload refused.",
			    mine.signal.aborted ? "" : "bad");
	}
	if (going === mine) {
		going = null;
		byId("cancel").disabled = true;
	}
}

/* a picture for who has none at hand */
function draw() {
	const canvas = document.createElement("canvas");
	const context = canvas.getContext("2d");
	const upTo = (n) => Math.random() * n;

	canvas.width = DRAWN.width;
	canvas.height = DRAWN.height;
	context.fillStyle = `hsl(${upTo(360)} 50% 85%)`;
	context.fillRect(0, 0, canvas.width, canvas.height);
	for (let n = 0; n < DRAWN.circles; n++) {
		context.fillStyle = `hsl(${upTo(360)} 70% 50% / 60%)`;
		context.beginPath();
		context.arc(upTo(canvas.width), upTo(canvas.height),
			    30 + upTo(300), 0, 2 * Math.PI);
		context.fill();
	}
	say("notice", "Drawing.");
	canvas.toBlob(send, "image/png");
}

byId("upload").addEventListener("submit", (event) => {
	event.preventDefault();
	send(byId("file").files[0]);
});
byId("draw").addEventListener("click", draw);
byId("cancel").addEventListener("click", () => going && going.abort());
