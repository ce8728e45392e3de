import type { ReactNode } from "react";
import { Icon, type IconName } from "./icon.tsx";

export interface NoticeProps {
  tone: "calm" | "warn" | "bad";
  icon?: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** A block that says how things are: an empty list, an error with a way on. What must be heard is announced apart. */
export function Notice({ tone, icon, title, children, action }: NoticeProps) {
  return (
    <div className={`notice notice-${tone}`}>
      {icon !== undefined && <Icon name={icon} size={28} />}
      <p className="notice-title">{title}</p>
      {children !== undefined && <div className="notice-text">{children}</div>}
      {action !== undefined && <div className="notice-action">{action}</div>}
    </div>
  );
}
