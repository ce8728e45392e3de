// Runs before the first paint, so that a theme chosen earlier is there from the first frame.
// The choice itself is made in src/shell/theme.ts, which writes the same key.
try {
  const chosen = localStorage.getItem("skein.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system's preference holds.
}
