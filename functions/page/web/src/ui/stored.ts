/** Choices that the browser keeps. */
import { useEffect, useState } from "preact/hooks";
import type { Theme } from "../map/palette.ts";

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function useStored(key: string, initial: boolean): [boolean, (value: boolean) => void] {
  const [value, setValue] = useState(() => (read(key) ?? String(initial)) === "true");
  return [value, (next) => (write(key, String(next)), setValue(next))];
}

/** The theme: as chosen, else the system's. */
export function useTheme(): [Theme, () => void] {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const [chosen, setChosen] = useState(() => read("theme"));
  const [isDark, setDark] = useState(system.matches);
  useEffect(() => {
    const follow = (event: MediaQueryListEvent) => setDark(event.matches);
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, []);
  const theme: Theme = chosen === "dark" || chosen === "light" ? chosen : isDark ? "dark" : "light";
  useEffect(() => void (document.documentElement.dataset.theme = theme), [theme]);
  const change = () => {
    const next = theme === "dark" ? "light" : "dark";
    write("theme", next);
    setChosen(next);
  };
  return [theme, change];
}
