// Does it work at all? Three people write, read back and list for a few seconds. Not a single answer may be wrong.
//
//   make load SCRIPT=smoke.js        or        k6 run -e SKEIN_URL=http://127.0.0.1:8080 ops/k6/smoke.js

import { list, logIn, newRun, post, read } from './client.js';

export const options = {
  vus: 3,
  iterations: 30,
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<1000'],
  },
};

export function setup() {
  const run = newRun();
  return { run, sessions: logIn(3) };
}

export default function ({ run, sessions }) {
  const session = sessions[__VU % sessions.length];
  const tweet = post(session, `smoke ${run} ${__VU}-${__ITER}`, `${run}-${__VU}-${__ITER}`);
  if (tweet) read(session, tweet);
  list(session, 50);
}
