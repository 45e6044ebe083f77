/*
 * minimal-ws-server-threadpool-token: the page's side
 *
 * SPDX-License-Identifier: MIT
 *
 * Sends "start N", "watch NUMBER", "take TOKEN", "got TOKEN" and "stop TOKEN",
 * and shows what comes: see the README for the messages. The token of the job
 * that was started here is kept by the browser until its result is here.
 */

"use strict";

const KEPT = "lws-threadpool-token";
const STATES = {
	"queued": "waits for a thread",
	"running": "is counting",
	"ready": "has its result",
	"taken": "has ended, and its result was taken",
	"stopped": "was stopped",
	"expired": "has ended: nobody took its result in time",
};
const OVER = ["taken", "stopped", "expired"];

const many = (n) => n.toLocaleString("en");
let own = JSON.parse(localStorage.getItem(KEPT));	/* { job, token } */
const tokens = new Map();	/* of all that this page had, by number */
let wanted = null;		/* the last "take" or "watch" that was sent */
let shown = 0;			/* the number of the job on the page */

function keep(job) {
	own = job;
	if (own) {
		tokens.set(own.job, own.token);
		localStorage.setItem(KEPT, JSON.stringify(own));
	} else {
		localStorage.removeItem(KEPT);
	}
}

function showOwn() {
	const mine = own && own.job === shown;

	byId("own").hidden = !mine;
	say("token", mine ? own.token : "");
}

function onToken(message) {
	keep(message);
	wanted = `take ${own.token}`;
	say("notice", `Job ${own.job} is yours. You may close this page.`,
	    "good");
}

function onNews(message) {
	const others = message.watchers - 1;

	if (message.job !== shown)
		say("result", "");
	shown = message.job;
	byId("job").hidden = false;
	say("job-title", `Job ${message.job} ${STATES[message.state]}`);
	byId("bar").max = message.of;
	byId("bar").value = message.done;
	say("far", `${many(message.done)} of ${many(message.of)} numbers. ` +
		   (others === 1 ? "1 other watches." :
		    others ? `${others} others watch.` : "No other watches."));
	if (OVER.includes(message.state)) {
		wanted = null;
		if (own && own.job === message.job)
			keep(null);
	} else if (wanted && wanted.startsWith("take ")) {
		/* a job that was found by its token is ours, too */
		keep({ job: message.job, token: wanted.slice(5) });
	}
	showOwn();
}

function onResult(message) {
	const token = tokens.get(message.job);
	let text = `Job ${message.job}: there are ${many(message.primes)} ` +
		   `primes below ${many(message.below)}`;

	if (message.primes)
		text += `, the largest is ${many(message.largest)}`;
	say("result", `${text}.`, "good");
	/* only now may the server forget it */
	if (token)
		connection.send(`got ${token}`);
}

function onError(message) {
	if (message.error === "no such job" && wanted) {
		if (own && wanted === `take ${own.token}`)
			keep(null);
		wanted = null;
		showOwn();
	}
	say("notice", `The server says: ${message.error}.`, "bad");
}

function ask(text) {
	if (!connection.send(text))
		say("notice", "There is no connection just now.", "bad");
}

/* for "take" and "watch", which are sent again on a new connection */
function want(text) {
	wanted = text;
	ask(text);
}

const connection = new Connection("lws-threadpool-token", {
	open() {
		say("notice", "Connected.");
		if (!wanted && own)
			wanted = `take ${own.token}`;
		if (wanted)
			connection.send(wanted);
	},
	closed() {
		say("notice", "The connection is lost. The job goes on.",
		    "bad");
	},
	message(message) {
		if (message.error)
			onError(message);
		else if (message.token)
			onToken(message);
		else if (message.state)
			onNews(message);
		else
			onResult(message);
	},
});

function onSubmit(id, action) {
	byId(id).addEventListener("submit", (event) => {
		event.preventDefault();
		say("notice", "");
		action();
	});
}

onSubmit("start", () => ask(`start ${byId("limit").value}`));
onSubmit("take", () => want(`take ${byId("bring").value}`));
onSubmit("watch", () => want(`watch ${byId("number").value}`));
byId("stop").addEventListener("click", () => ask(`stop ${own.token}`));
byId("leave").addEventListener("click", () => connection.renew());
