import { Label, ProgressBar } from "react-aria-components";

export interface ProgressProps {
  label: string;
  /** How far it is in words, seen and heard. */
  text: string;
  value: number;
  /** Zero while it is not known: then nothing is said of how much is left. */
  max: number;
}

/** How far something is that goes on by itself. Drawn as a picture, since the page's policy forbids styles in elements. */
export function Progress({ label, text, value, max }: ProgressProps) {
  return (
    <ProgressBar className="progress" value={value} maxValue={Math.max(max, 1)} isIndeterminate={max === 0} valueLabel={text}>
      {({ percentage = 0 }) => (
        <>
          <Label className="progress-label">{label}</Label>
          <span className="progress-text">{text}</span>
          <svg className="progress-track" aria-hidden="true" focusable="false">
            <rect className="progress-bar" width={`${percentage}%`} height="100%" />
          </svg>
        </>
      )}
    </ProgressBar>
  );
}
