/**
 * The API client: typed by the OpenAPI document, carried by fetch.
 * Every request has a time limit; what became of a request that ran out of time is not known, and the callers
 * treat it so. A request's fate also tells the rest of the app whether the server can be reached.
 */
import createClient from "openapi-fetch";
import { connection } from "./connection.ts";
import type { components, paths } from "./schema.ts";

export type Tweet = components["schemas"]["Tweet"];
export type TweetPage = components["schemas"]["TweetPage"];
export type BookmarkedTweet = components["schemas"]["BookmarkedTweet"];
export type BookmarkPage = components["schemas"]["BookmarkPage"];
export type ClusterStatus = components["schemas"]["ClusterStatus"];
export type ClusterMember = components["schemas"]["ClusterMember"];
export type ClusterLearner = components["schemas"]["ClusterLearner"];
export type OtherWorker = components["schemas"]["OtherWorker"];

const requestTimeoutMs = 15_000;

async function timedFetch(request: Request): Promise<Response> {
  const begunIn = connection.changesSeen;
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(requestTimeoutMs) });
    connection.reached(begunIn);
    return response;
  } catch (error) {
    connection.missed();
    throw error;
  }
}

export const api = createClient<paths>({ credentials: "same-origin", fetch: timedFetch });
