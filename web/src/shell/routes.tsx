/** All pages of the app and who may see them. */
import { lazy, type ComponentType } from "react";
import { CreatePage } from "../account/create-page.tsx";
import { LoginPage } from "../account/login-page.tsx";
import { LogoutPage } from "../account/logout-page.tsx";
import { BookmarkButton } from "../bookmarks/bookmark-button.tsx";
import { paths } from "../paths.ts";
import { TimelinePage } from "../tweets/timeline-page.tsx";
import { NotFoundPage } from "./not-found-page.tsx";

export interface Route {
  readonly title: string;
  readonly page: ComponentType;
  /** `session`: leads to the log-in page first. `nobody`: leads on when somebody is logged in. */
  readonly audience: "everybody" | "session" | "nobody";
}

/** What other concepts than the timeline offer at a tweet. */
const tweetActions = [BookmarkButton];

function Timeline() {
  return <TimelinePage actions={tweetActions} />;
}

const BookmarksPage = lazy(() => import("../bookmarks/bookmarks-page.tsx"));
const ClusterPage = lazy(() => import("../cluster/cluster-page.tsx"));

const routes: Record<string, Route> = {
  [paths.main]: { title: "Timeline", page: Timeline, audience: "session" },
  [paths.bookmarks]: { title: "Bookmarks", page: BookmarksPage, audience: "session" },
  [paths.login]: { title: "Log in", page: LoginPage, audience: "nobody" },
  [paths.create]: { title: "Create an account", page: CreatePage, audience: "nobody" },
  [paths.logout]: { title: "Log out", page: LogoutPage, audience: "everybody" },
  [paths.cluster]: { title: "Cluster", page: ClusterPage, audience: "everybody" },
};

const notFound: Route = { title: "Page not found", page: NotFoundPage, audience: "everybody" };

export function routeOf(path: string): Route {
  return Object.hasOwn(routes, path) ? (routes[path] ?? notFound) : notFound;
}
