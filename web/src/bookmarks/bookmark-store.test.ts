import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { connection } from "../api/connection.ts";
import { browserPorts } from "../api/poll.ts";
import { announcer } from "../ui/announcer.ts";
import { BookmarkStore, insteadOfList, isMarked } from "./bookmark-store.ts";

const { get, put, del } = vi.hoisted(() => ({ get: vi.fn(), put: vi.fn(), del: vi.fn() }));
vi.mock("../api/client.ts", () => ({ api: { GET: get, PUT: put, DELETE: del } }));

type Query = { tweets?: string; cursor?: string };

/** What the server has, the newest mark first. */
let stored: string[];
/** Questions about tweets, as they were asked. */
let questions: string[][];
let name: string | null;
let visible: boolean;
/** Tells the store that the page was shown or hidden. */
let looked: () => void;
let store: BookmarkStore;

const listed = (tweet: string) => ({ tweet_id: tweet, created_at: `2026-01-01T00:00:00.${tweet.slice(1).padStart(6, "0")}Z`, tweet: null });
const answer = (status: number, body?: object, headers: Record<string, string> = {}) => {
  const response = new Response(null, { status, headers });
  return response.ok ? { data: body ?? "", response } : { error: { status, ...body }, response };
};

beforeEach(() => {
  vi.useFakeTimers();
  [stored, questions, name, visible] = [[], [], "ada", true];
  get.mockReset().mockImplementation(async (path: string, { params }: { params: { query: Query } }) => {
    if (path !== "/api/bookmarks") return answer(404);
    const { tweets, cursor } = params.query;
    if (tweets !== undefined) {
      questions.push(tweets.split(","));
      return answer(200, { bookmarks: stored.filter((tweet) => tweets.split(",").includes(tweet)).map(listed), next: null });
    }
    const from = cursor === undefined ? 0 : stored.indexOf(cursor) + 1;
    const page = stored.slice(from, from + 50);
    const next = from + 50 < stored.length ? page.at(-1) : null;
    return answer(200, { bookmarks: page.map(listed), next });
  });
  put.mockReset().mockImplementation(async (_: string, { params }: { params: { path: { tweet_id: string } } }) => {
    stored = [params.path.tweet_id, ...stored];
    return answer(201, {});
  });
  del.mockReset().mockImplementation(async (_: string, { params }: { params: { path: { tweet_id: string } } }) => {
    stored = stored.filter((tweet) => tweet !== params.path.tweet_id);
    return answer(204);
  });
  const onVisibility = (call: () => void) => {
    looked = call;
    return () => undefined;
  };
  const ports = { ...browserPorts, visible: () => visible, onVisibility };
  store = new BookmarkStore({ isStill: async () => name === "ada", lost: () => (name = null) }, ports);
});

afterEach(() => {
  store.close();
  connection.network(true);
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(60_000);
const shown = () => store.state.list?.shown.map(({ tweet_id }) => tweet_id);
/** Holds the next answer back, which shows what the server has by now, until the answer of this is called. */
const holdBack = () => {
  const page = { bookmarks: stored.map(listed), next: null };
  let release = (): void => undefined;
  get.mockImplementationOnce(() => new Promise((resolve) => (release = () => resolve(answer(200, page)))));
  return () => release();
};
const keysOf = (mock: typeof put) => mock.mock.calls.map(([, { params }]) => params.header["Idempotency-Key"] as string);

it("asks about each tweet once, thirty-two at a time", async () => {
  stored = ["t1", "t40"];
  const tweets = Array.from({ length: 50 }, (_, i) => `t${i}`);
  for (const tweet of tweets) store.wonder(tweet);
  await settled();
  for (const tweet of [...tweets, "t50"]) store.wonder(tweet);
  await settled();
  expect(questions.map((asked) => asked.length)).toEqual([32, 18, 1]);
  expect(tweets.filter((tweet) => isMarked(store.state, tweet))).toEqual(["t1", "t40"]);
});

it("asks again by itself about tweets of which no answer came", async () => {
  stored = ["t1"];
  get.mockRejectedValueOnce(new TypeError("no answer")).mockResolvedValueOnce(answer(503, { code: 715 }));
  store.wonder("t1");
  await vi.advanceTimersByTimeAsync(0);
  expect(isMarked(store.state, "t1")).toBe(false);
  await settled();
  expect(isMarked(store.state, "t1")).toBe(true);
  expect(get).toHaveBeenCalledTimes(3);
  expect(vi.getTimerCount()).toBe(0);
});

it("asks a server that does not answer ever more rarely, and no more after the end", async () => {
  get.mockRejectedValue(new TypeError("no answer"));
  for (let number = 0; number < 50; number++) store.wonder(`t${number}`);
  // At once, after pauses of 4, 6 and 8 seconds, and every 10 seconds from then on.
  await settled();
  expect(get).toHaveBeenCalledTimes(8);
  await settled();
  expect(get).toHaveBeenCalledTimes(14);
  store.close();
  store.wonder("t50");
  expect(vi.getTimerCount()).toBe(0);
  expect(get).toHaveBeenCalledTimes(14);
});

it("asks about tweets once the page is seen", async () => {
  visible = false;
  store.wonder("t1");
  await settled();
  expect(questions).toEqual([]);
  visible = true;
  looked();
  await settled();
  expect(questions).toEqual([["t1"]]);
});

it("shows at once what was pressed, and says when it is so", async () => {
  store.toggle("t1");
  expect(isMarked(store.state, "t1")).toBe(true);
  store.toggle("t1");
  await settled();
  expect(stored).toEqual(["t1"]);
  expect(put).toHaveBeenCalledTimes(1);
  expect(announcer.state.polite.text).toBe("Bookmarked.");
  store.toggle("t1");
  await settled();
  expect(stored).toEqual([]);
  expect(isMarked(store.state, "t1")).toBe(false);
  expect(announcer.state.polite.text).toBe("Bookmark removed.");
});

it("goes back to what was and says why when the server refuses", async () => {
  put.mockResolvedValue(answer(409, { code: 740, detail: "you have 1000 bookmarks, as many as are allowed; remove one first" }));
  store.toggle("t1");
  await settled();
  expect(isMarked(store.state, "t1")).toBe(false);
  expect(store.state.faults.get("t1")).toBe("You have 1000 bookmarks, as many as are allowed; remove one first.");
  expect(announcer.state.assertive.text).toContain("1000");
  put.mockResolvedValue(answer(201, {}));
  store.toggle("t1");
  expect(store.state.faults.size).toBe(0);
});

it("repeats under the same key when the answer is lost or the server is busy", async () => {
  put.mockRejectedValueOnce(new TypeError("no answer"));
  put.mockResolvedValueOnce(answer(503, { code: 715 }, { "Retry-After": "1" }));
  store.toggle("t1");
  await settled();
  expect(stored).toEqual(["t1"]);
  expect(put).toHaveBeenCalledTimes(3);
  expect(new Set(keysOf(put)).size).toBe(1);
  expect(store.state.underWay.size).toBe(0);
});

it("says that it is not known when nobody answers for long, and asks what there is", async () => {
  put.mockImplementation(async (_: string, { params }: { params: { path: { tweet_id: string } } }) => {
    if (stored.length === 0) stored = [params.path.tweet_id];
    throw new TypeError("no answer");
  });
  store.toggle("t1");
  await vi.advanceTimersByTimeAsync(20 * 60_000);
  expect(store.state.underWay.size).toBe(0);
  expect(store.state.faults.get("t1")).toMatch(/not known/);
  expect(isMarked(store.state, "t1")).toBe(true);
});

it("sends nothing in another's name, and nothing without a network", async () => {
  name = "bob";
  store.toggle("t1");
  await settled();
  name = "ada";
  connection.network(false);
  store.toggle("t2");
  await settled();
  expect(put).not.toHaveBeenCalled();
  expect(store.state.faults.get("t1")).toBe("You are no longer logged in.");
  expect(store.state.faults.get("t2")).toMatch(/offline/);
});

it("hears that the session has ended", async () => {
  put.mockResolvedValue(answer(401, { code: 700 }));
  store.toggle("t1");
  await settled();
  expect(name).toBeNull();
});

it("loads the list page after page, and each page once", async () => {
  stored = Array.from({ length: 120 }, (_, i) => `t${120 - i}`);
  await store.refresh();
  const [first, second] = await Promise.all([store.loadOlder(), store.loadOlder()]);
  expect([first, second]).toEqual([50, 0]);
  expect(await store.loadOlder()).toBe(20);
  expect(await store.loadOlder()).toBe(0);
  expect(store.state.list?.shown.map(({ tweet_id }) => tweet_id)).toEqual(stored);
  expect(isMarked(store.state, "t1")).toBe(true);
});

it("says that the list did not load, and loads it on the next try", async () => {
  stored = ["t1"];
  get.mockResolvedValueOnce(answer(500, { code: 799, detail: "it broke" }));
  await store.refresh();
  expect(store.state.first).toEqual({ kind: "failed", why: "It broke." });
  await store.refresh();
  expect(store.state.list?.shown).toHaveLength(1);
});

it("says nothing of an empty list that did not load again but that it did not", async () => {
  expect(insteadOfList(store.state)).toBe("waiting");
  await store.refresh();
  expect(insteadOfList(store.state)).toBe("none");
  stored = ["t1"];
  get.mockResolvedValueOnce(answer(500, { code: 799, detail: "it broke" }));
  const again = store.refresh();
  expect(insteadOfList(store.state)).toBe("waiting");
  await again;
  expect(insteadOfList(store.state)).toBe("failed");
  await store.refresh();
  expect(insteadOfList(store.state)).toBeNull();
});

it("shows a mark that is made after the list was loaded", async () => {
  stored = ["t1"];
  await store.refresh();
  store.toggle("t2");
  await settled();
  expect(shown()).toEqual(["t2", "t1"]);
});

it("shows a mark that is made while the page is on its way", async () => {
  await store.refresh();
  const release = holdBack();
  const refreshed = store.refresh();
  store.toggle("t1");
  await settled();
  release();
  await refreshed;
  expect(shown()).toEqual(["t1"]);
  expect(get).toHaveBeenCalledTimes(3);
});

it("does not show again what was removed while the page was on its way", async () => {
  stored = ["t2", "t1"];
  await store.refresh();
  const release = holdBack();
  const refreshed = store.refresh();
  store.toggle("t2");
  await settled();
  release();
  await refreshed;
  expect(shown()).toEqual(["t1"]);
});

it("asks again for an older page that may be out of date", async () => {
  stored = Array.from({ length: 60 }, (_, i) => `t${60 - i}`);
  await store.refresh();
  const release = holdBack();
  const loaded = store.loadOlder();
  store.toggle("t60");
  await settled();
  release();
  expect(await loaded).toBe(10);
  expect(shown()).toEqual(stored);
});
