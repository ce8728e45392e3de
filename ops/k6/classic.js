// The classic run: thirty clients, each of whom creates one tweet, all at once, and then reads all that there are. Each must
// find its own; at the end all thirty are there, each once and whole.
//
//   make load SCRIPT=classic.js        or        k6 run ops/k6/classic.js

import { check } from 'k6';
import { listAll, logIn, newRun, post } from './client.js';

const CLIENTS = 30;
const PAGES_MAX = 500;

export const options = {
  scenarios: { clients: { executor: 'per-vu-iterations', vus: CLIENTS, iterations: 1, maxDuration: '2m' } },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    iterations: [`count==${CLIENTS}`],
    tweet_post_duration: ['p(95)<2000'],
  },
};

const textOf = (run, client) => `classic ${run} client ${client}`;

export function setup() {
  const run = newRun();
  return { run, sessions: logIn(CLIENTS) };
}

export default function ({ run, sessions }) {
  const client = __VU - 1;
  const session = sessions[client];
  const tweet = post(session, textOf(run, client), `${run}-${client}`);
  const all = listAll(session, PAGES_MAX);
  check(all, {
    'a client finds its own tweet, once': (tweets) => tweet !== null
      && tweets.filter(({ id, text }) => id === tweet.id && text === tweet.text).length === 1,
  });
}

export function teardown({ run, sessions }) {
  const texts = listAll(sessions[0], PAGES_MAX).map(({ text }) => text);
  check(texts, {
    'all thirty are there, each once': (found) => sessions.every((session, client) =>
      found.filter((text) => text === textOf(run, client)).length === 1),
  });
}
