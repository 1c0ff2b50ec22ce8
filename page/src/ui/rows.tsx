// A list of any length: blocks of rows, of which those near the window exist. The window scrolls, and rows have any height.
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";

/** Rows of a block. */
const BLOCK = 40;

/** How far from the window a block is built. */
const MARGIN = "1200px";

/** The height of a row that has not been built, in pixels. */
const ESTIMATE = 76;

const Place = createContext({ position: 0, size: 0 });

interface Properties<Item> {
  label: string;
  items: readonly Item[];
  keyOf: (item: Item) => string | number;
  row: (item: Item) => ComponentChildren;
}

export function Rows<Item>({ label, items, keyOf, row }: Properties<Item>) {
  const blocks = [];
  for (let first = 0; first < items.length; first += BLOCK) {
    blocks.push(
      <Block key={first} early={first === 0} count={Math.min(BLOCK, items.length - first)}>
        {() =>
          items.slice(first, first + BLOCK).map((item, index) => (
            <Place.Provider key={keyOf(item)} value={{ position: first + index + 1, size: items.length }}>
              {row(item)}
            </Place.Provider>
          ))
        }
      </Block>,
    );
  }
  return (
    <div role="list" aria-label={label} class="rows">
      {blocks}
    </div>
  );
}

/** One row. It says its place, because the list's other rows may not exist. */
export function Row({ name, children }: { name: string; children: ComponentChildren }) {
  const { position, size } = useContext(Place);
  return (
    <div role="listitem" class={`row ${name}`} aria-posinset={position} aria-setsize={size}>
      {children}
    </div>
  );
}

function Block({ early, count, children }: { early: boolean; count: number; children: () => ComponentChildren }) {
  const element = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(early);
  const height = useRef(0);
  useEffect(() => {
    const block = element.current;
    if (!block) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry) return;
        if (!entry.isIntersecting) {
          // A block that has the focus stays.
          if (block.contains(document.activeElement)) return;
          height.current = entry.boundingClientRect.height / Math.max(1, block.childElementCount);
        }
        setNear(entry.isIntersecting);
      },
      { rootMargin: MARGIN },
    );
    observer.observe(block);
    return () => observer.disconnect();
  }, []);
  const space = near ? undefined : { height: `${count * (height.current || ESTIMATE)}px` };
  return (
    <div ref={element} style={space}>
      {near && children()}
    </div>
  );
}
