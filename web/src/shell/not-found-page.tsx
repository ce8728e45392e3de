import { Link } from "react-aria-components";
import { paths } from "../paths.ts";
import { Heading } from "../ui/heading.tsx";
import { router } from "./router.ts";
import { useStore } from "../ui/use-store.ts";

export function NotFoundPage() {
  const { path } = useStore(router);
  return (
    <section className="lost">
      <svg className="lost-goose" viewBox="0 0 120 40" aria-hidden="true">
        <path d="M8 26q14-16 24 2 10-18 24-2M86 12q6-6 10 1 4-7 10-1" />
      </svg>
      <Heading>This one strayed from the flock</Heading>
      <p>
        There is no page at <code>{path}</code>.
      </p>
      <p>
        <Link className="link" href={paths.main}>
          Back to the timeline
        </Link>
      </p>
    </section>
  );
}
