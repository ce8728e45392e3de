// What the load scripts share: who posts, and what a sound answer is. People are made once, in the set-up, whichever way the
// cluster lets them log in, and their sessions are handed to the clients, so that what is measured is the store and not the
// hashing of passwords. Every answer is looked into: a fast one with the wrong contents is a failure.

import http from 'k6/http';
import { check, fail } from 'k6';
import { Trend } from 'k6/metrics';

// Where the cluster is, without a slash at the end.
export const URL = (__ENV.SKEIN_URL || 'http://127.0.0.1:8080').replace(/\/$/, '');

// Tells this run's tweets from those of others.
export const newRun = () => `${Date.now().toString(36)}`;

const JSON_BODY = { 'Content-Type': 'application/json' };
const PASSWORD = 'a password for load tests';

// Posts until their answer, and reads, apart from the set-up's log-ins.
export const posting = new Trend('tweet_post_duration', true);
export const listing = new Trend('tweet_list_duration', true);
export const reading = new Trend('tweet_read_duration', true);

// Gives the sessions of so many people. They are the same ones in each run, so that accounts are made in the first run alone:
// a coordinator takes a limited number of sign-ups an hour.
export function logIn(count) {
  const sessions = [];
  for (let person = 0; person < count; person += 1) {
    const username = `load-${person}`;
    const body = JSON.stringify({ username, password: PASSWORD });
    const enter = () =>
      http.post(`${URL}/api/login`, body, { headers: JSON_BODY, responseCallback: http.expectedStatuses(200, 401) });
    let answer = enter();
    if (answer.status === 401) {
      const account = { username, name: `Load ${person}`, email: `${username}@example.org`, password: PASSWORD };
      const made = http.post(`${URL}/api/account`, JSON.stringify(account), { headers: JSON_BODY });
      if (made.status !== 201) fail(`an account: ${made.status} ${made.body}`);
      answer = enter();
    }
    if (answer.status !== 200) fail(`a log-in: ${answer.status} ${answer.body}`);
    const [cookie] = Object.values(answer.cookies).flat();
    sessions.push({ username, cookie: `${cookie.name}=${cookie.value}` });
    // The jar would send the last one's cookie along with the next one's.
    http.cookieJar().clear(URL);
  }
  return sessions;
}

const as = (session, name, headers = {}) => ({ headers: { Cookie: session.cookie, ...headers }, tags: { name } });

// Posts, with a key as the app does, and gives the tweet, or null when it was not acknowledged.
export function post(session, text, key) {
  const answer = http.post(
    `${URL}/api/tweet`,
    JSON.stringify({ text }),
    as(session, 'POST /api/tweet', { ...JSON_BODY, 'Idempotency-Key': key }),
  );
  posting.add(answer.timings.duration);
  const good = check(answer, {
    'a post is acknowledged': ({ status }) => status === 201,
    'and is what was posted': (a) => a.status === 201 && isTweet(a.json()) && a.json('text') === text
      && a.json('author') === session.username && a.headers.Location === `/api/tweet/${a.json('id')}`,
  });
  return good ? answer.json() : null;
}

// Reads one tweet, which must be exactly this one.
export function read(session, tweet) {
  const answer = http.get(`${URL}/api/tweet/${tweet.id}`, as(session, 'GET /api/tweet/{id}'));
  reading.add(answer.timings.duration);
  check(answer, {
    'what was acknowledged is read back': (a) => a.status === 200
      && ['id', 'author', 'text', 'created_at', 'version'].every((field) => a.json(field) === tweet[field]),
  });
}

// Reads a page, from the newest on or from a cursor.
export function list(session, limit, cursor) {
  const rest = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
  const answer = http.get(`${URL}/api/tweet?limit=${limit}${rest}`, as(session, 'GET /api/tweet'));
  listing.add(answer.timings.duration);
  const good = check(answer, {
    'a page is whole and newest first': (a) => a.status === 200 && isPage(a.json(), limit),
  });
  return good ? answer.json() : null;
}

// Reads all that there is, in at most so many pages of 200.
export function listAll(session, pages) {
  const tweets = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const found = list(session, 200, cursor);
    if (!found) fail(`page ${page} could not be read`);
    tweets.push(...found.tweets);
    cursor = found.next;
    if (!cursor) return tweets;
  }
  return fail(`there are more than ${pages} pages of tweets`);
}

function isTweet(tweet) {
  return typeof tweet.id === 'string' && typeof tweet.author === 'string' && typeof tweet.text === 'string'
    && Number.isInteger(tweet.version) && !Number.isNaN(Date.parse(tweet.created_at));
}

function isPage({ tweets, next }, limit) {
  const ids = new Set(tweets.map(({ id }) => id));
  const times = tweets.map(({ created_at: at }) => Date.parse(at));
  return tweets.length <= limit && ids.size === tweets.length && tweets.every(isTweet)
    && times.every((time, place) => place === 0 || time <= times[place - 1])
    && (next === null || (typeof next === 'string' && tweets.length > 0));
}
