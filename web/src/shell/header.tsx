import { Button, Header as MenuHeader, Link, Menu, MenuItem, MenuSection, MenuTrigger, Popover } from "react-aria-components";
import type { Selection } from "react-aria-components";
import { session } from "../api/session.ts";
import { paths } from "../paths.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { useStore } from "../ui/use-store.ts";
import { router } from "./router.ts";
import { theme, type Theme } from "./theme.ts";

export function Header() {
  const who = useStore(session);
  return (
    <header className="header">
      <div className="header-row">
        <Link className="brand" href={paths.main}>
          <svg className="brand-mark" viewBox="0 0 40 24" aria-hidden="true">
            <path d="M16 5q3-3 4.500.8 1.500-3.800 4.500-.8M7 13q3-3 4.500.8 1.500-3.800 4.500-.8M24 13q3-3 4.500.8 1.500-3.800 4.500-.8M1 21q2.400-2.400 3.700.6 1.300-3 3.700-.6M31.600 21q2.400-2.400 3.700.6 1.300-3 3.700-.6" />
          </svg>
          <span>Skein</span>
        </Link>
        <nav className="header-nav" aria-label="Pages">
          {who.kind === "somebody" && <Tab href={paths.main} icon="timeline" text="Timeline" />}
          {who.kind === "somebody" && <Tab href={paths.bookmarks} icon="bookmark" text="Bookmarks" />}
          <Tab href={paths.cluster} icon="cluster" text="Cluster" />
          {who.kind === "nobody" && <Tab href={paths.login} icon="person" text="Log in" />}
        </nav>
        <ReaderMenu username={who.kind === "somebody" ? who.username : null} />
      </div>
    </header>
  );
}

function Tab({ href, icon, text }: { href: string; icon: IconName; text: string }) {
  const { path } = useStore(router);
  return (
    <Link className="tab" href={href} {...(path === href ? { "aria-current": "page" as const } : {})}>
      <Icon name={icon} />
      <span className="tab-text">{text}</span>
    </Link>
  );
}

const themes: { id: Theme; text: string }[] = [
  { id: "system", text: "As the system" },
  { id: "light", text: "Light" },
  { id: "dark", text: "Dark" },
];

function ReaderMenu({ username }: { username: string | null }) {
  const chosen = useStore(theme);
  const choose = (keys: Selection) => {
    const [first] = keys === "all" ? [] : [...keys];
    theme.choose((first ?? "system") as Theme);
  };
  return (
    <MenuTrigger>
      <Button className="reader-button" aria-label={username === null ? "Appearance" : `${username}: appearance and log out`}>
        <Icon name={username === null ? "theme" : "person"} />
        {username !== null && <span className="reader-name">{username}</span>}
      </Button>
      <Popover className="menu-popover" placement="bottom end" isNonModal>
        <Menu className="menu" onAction={(key) => key === "logout" && router.go(paths.logout)}>
          <MenuSection selectionMode="single" selectedKeys={[chosen]} onSelectionChange={choose} disallowEmptySelection>
            <MenuHeader className="menu-heading">Appearance</MenuHeader>
            {themes.map(({ id, text }) => (
              <MenuItem key={id} id={id} className="menu-item">
                {text}
                {chosen === id && <Icon name="check" />}
              </MenuItem>
            ))}
          </MenuSection>
          {username !== null && (
            <MenuSection aria-label="Account">
              <MenuItem id="logout" className="menu-item">
                Log out
              </MenuItem>
            </MenuSection>
          )}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
