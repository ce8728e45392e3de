/** The app's icons: one stroke weight, drawn on a 24 unit grid, never the only carrier of a meaning. */
const paths = {
  edit: "M4 20h4L19.500 8.500a2.100 2.100 0 0 0-4-4L4 16v4M13.500 6.500l4 4",
  trash: "M4 7h16M9 7V4.500h6V7M6.500 7l1 12.500h9l1-12.500M10 11v5M14 11v5",
  bookmark: "M7 4h10v16l-5-4.500-5 4.500V4",
  check: "M5 12.500l4.500 4.500L19 7.500",
  clock: "M12 3.500a8.500 8.500 0 1 0 0 17a8.500 8.500 0 0 0 0-17M12 7.500V12l3 2",
  question: "M12 3.500a8.500 8.500 0 1 0 0 17a8.500 8.500 0 0 0 0-17M9.700 9.600a2.400 2.400 0 1 1 3.400 2.200c-.8.4-1.100.9-1.100 1.700M12 16.500v.01",
  alert: "M12 4l9 16H3L12 4M12 10v4.500M12 17.300v.01",
  offline: "M3 3l18 18M8.500 16.500a5 5 0 0 1 7 0M5 12.500a10 10 0 0 1 4.500-2.600M14.500 9.900a10 10 0 0 1 4.500 2.600M2 8.800a15 15 0 0 1 4.700-2.900M11 5a15 15 0 0 1 11 3.800M12 20v.01",
  up: "M12 19V5M6 11l6-6 6 6",
  person: "M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8M4.500 20.500c.8-4 3.700-6 7.500-6s6.700 2 7.500 6",
  theme: "M12 3.500a8.500 8.500 0 1 0 0 17a8.500 8.500 0 0 0 0-17M12 3.500v17M12 8l4.500-3M12 13l8-5M12 18l7.500-5",
  feather: "M4 20L15 9M19.500 4.500c-4-1-9 1-11 5-1 2-1 4.500-.5 6 1.500.5 4 .5 6-.5 4-2 6.500-6.500 5.500-10.500M8 15.500h6",
  cluster: "M12 3.500a2.500 2.500 0 1 0 0 5a2.500 2.500 0 0 0 0-5M5.500 15.500a2.500 2.500 0 1 0 0 5a2.500 2.500 0 0 0 0-5M18.500 15.500a2.500 2.500 0 1 0 0 5a2.500 2.500 0 0 0 0-5M10.800 8.200l-4 7.400M13.200 8.200l4 7.400M8 18h8",
  timeline: "M4 6h16M4 12h16M4 18h10",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
