/** The frame around every page: header, banner, live regions, and the one place where pages come and go. */
import { Suspense, useEffect, useLayoutEffect } from "react";
import { RouterProvider } from "react-aria-components";
import { session, type SessionState } from "../api/session.ts";
import { afterLogin, loginThen, paths } from "../paths.ts";
import { announce } from "../ui/announcer.ts";
import { AnnouncerRegions } from "../ui/announcer-regions.tsx";
import { Waiting } from "../ui/waiting.tsx";
import { useStore } from "../ui/use-store.ts";
import { ConnectionBanner } from "./connection-banner.tsx";
import { Crash } from "./crash.tsx";
import { Header } from "./header.tsx";
import { router, type Place } from "./router.ts";
import { routeOf, type Route } from "./routes.tsx";

export function App() {
  const place = useStore(router);
  const who = useStore(session);
  const route = routeOf(place.path);
  const elsewhere = redirectOf(place, route, who);

  useEffect(() => {
    if (elsewhere !== null) router.go(elsewhere, { replace: true });
  }, [elsewhere]);

  return (
    <RouterProvider navigate={(address) => router.go(address)}>
      <a className="skip-link" href="#content">
        Skip to the content
      </a>
      <Header />
      <ConnectionBanner />
      <main id="content" tabIndex={-1} className="content">
        <Crash key={place.entry}>
          {elsewhere === null && (route.audience === "everybody" || who.kind !== "asking") ? (
            <Arrival place={place} route={route} />
          ) : (
            <Waiting what="Skein" />
          )}
        </Crash>
      </main>
      <AnnouncerRegions />
    </RouterProvider>
  );
}

function redirectOf(place: Place, route: Route, who: SessionState): string | null {
  if (place.path === paths.home) return paths.main;
  if (route.audience === "session" && who.kind === "nobody") return loginThen(place.path);
  if (route.audience === "nobody" && who.kind === "somebody") return afterLogin(place.query);
  return null;
}

/** Shows a page, and says that it was arrived at once its content is there. */
function Arrival({ place, route }: { place: Place; route: Route }) {
  const Page = route.page;
  return (
    <Suspense fallback={<Waiting what={route.title} />}>
      <Page />
      <Arrived place={place} title={route.title} />
    </Suspense>
  );
}

/**
 * Does what a browser does on a page load: title, scroll position, focus on the heading, so that keyboard and screen
 * reader start where the eye does. The very first page is the browser's own doing.
 */
function Arrived({ place, title }: { place: Place; title: string }) {
  useLayoutEffect(() => {
    document.title = `${title} · Skein`;
    if (lastEntry === place.entry) return;
    const first = lastEntry === null;
    lastEntry = place.entry;
    if (first) return;
    window.scrollTo(0, place.revisited ? router.scrollOf(place.entry) : 0);
    const content = document.getElementById("content");
    // A page that put the focus into its first field knows better; then the title is said instead.
    if (content?.contains(document.activeElement) === true && document.activeElement !== content) announce(title);
    else content?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [place.entry, place.revisited, title]);
  return null;
}

let lastEntry: string | null = null;
