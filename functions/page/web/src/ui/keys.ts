/** The keys of the page, apart from those of the map. */
import { useEffect } from "preact/hooks";

/** Calls an action for each key that is pressed outside of fields; letters and signs only where they are switched on. */
export function useKeys(usesLetters: boolean, actions: Record<string, () => void>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const isField = event.target instanceof Element && event.target.matches("input, select, textarea");
      if (isField || event.ctrlKey || event.metaKey || event.altKey) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (key.length > 1 || usesLetters) actions[key]?.();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}
