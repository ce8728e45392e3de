/** Every address of the app, in one place. */
export const paths = {
  home: "/",
  main: "/main",
  bookmarks: "/bookmarks",
  login: "/login",
  create: "/create",
  logout: "/logout",
  cluster: "/cluster",
} as const;

/** The log-in page that leads on to `next`. */
export function loginThen(next: string): string {
  return next === paths.main || next === paths.home ? paths.login : `${paths.login}?next=${encodeURIComponent(next)}`;
}

/** Where to go after logging in: only ever to a page of the app itself. */
export function afterLogin(query: URLSearchParams): string {
  const next = query.get("next") ?? paths.main;
  return /^\/(?![/\\])/.test(next) ? next : paths.main;
}
