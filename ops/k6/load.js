// How does it stand a steady load? An open model: requests come at a rate, whether or not the earlier ones are answered, as
// they do from people who know nothing of each other. If the cluster can't keep up, it shows as dropped iterations and as
// time, not as fewer requests. Of ten arrivals three post and read back what was acknowledged, seven read the first page.
//
//   make load RATE=200 DURATION=1m        or        k6 run -e RATE=200 -e DURATION=1m ops/k6/load.js
//
// SLACK multiplies the bounds on time, for machines that do something else as well.

import exec from 'k6/execution';
import { list, logIn, newRun, post, read } from './client.js';

const RATE = Number(__ENV.RATE) || 100;
const DURATION = __ENV.DURATION || '30s';
const SLACK = Number(__ENV.SLACK) || 1;
const PEOPLE = 20;

const arrivals = (share, iteration) => ({
  executor: 'constant-arrival-rate',
  rate: Math.max(1, Math.round(RATE * share)),
  timeUnit: '1s',
  duration: DURATION,
  preAllocatedVUs: 100,
  maxVUs: 400,
  exec: iteration,
});

const within = (p95, p99) => [`p(95)<${p95 * SLACK}`, `p(99)<${p99 * SLACK}`];

export const options = {
  scenarios: { writers: arrivals(0.3, 'write'), readers: arrivals(0.7, 'browse') },
  thresholds: {
    checks: ['rate>0.999'],
    http_req_failed: ['rate<0.001'],
    dropped_iterations: ['count<1'],
    tweet_post_duration: within(250, 1000),
    tweet_read_duration: within(100, 500),
    tweet_list_duration: within(150, 500),
  },
};

export function setup() {
  const run = newRun();
  return { run, sessions: logIn(PEOPLE) };
}

export function write({ run, sessions }) {
  const number = exec.scenario.iterationInTest;
  const session = sessions[number % sessions.length];
  const tweet = post(session, `load ${run} ${number}`, `${run}-${number}`);
  if (tweet) read(session, tweet);
}

export function browse({ sessions }) {
  list(sessions[exec.scenario.iterationInTest % sessions.length], 50);
}
