// Where the tags of faces go: beside their own box, on no face and on no other tag.

const GAP = 4; // pixels between a box and its tag

const overlap = (a, b) =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));
const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/** Return the places around a box, best first; each stays inside of the bounds where it can. */
function placesAround(box, { width, height }, bounds) {
  const right = box.x + box.width;
  const above = box.y - GAP - height;
  const below = box.y + box.height + GAP;
  const across = [box.x, right - width, box.x + (box.width - width) / 2];
  const beside = [box.y, box.y + box.height - height];
  const places = [
    ...across.map((x) => [x, above]),
    ...across.map((x) => [x, below]),
    ...beside.map((y) => [right + GAP, y]),
    ...beside.map((y) => [box.x - GAP - width, y]),
  ];
  return places.map(([x, y]) => ({
    x: clamp(x, bounds.x, bounds.x + bounds.width - width),
    y: clamp(y, bounds.y, bounds.y + bounds.height - height),
    width,
    height,
  }));
}

/**
 * Return the place of each tag, or null where there is no room for it.
 *
 * Boxes, bounds and places are { x, y, width, height } in pixels, sizes are { width, height }. The tag of
 * the box `chosen` always gets a place, the one that covers least; of the others, large faces come first.
 */
export function placeTags(boxes, sizes, bounds, chosen = -1) {
  const places = boxes.map(() => null);
  const taken = [...boxes];
  const area = (at) => boxes[at].width * boxes[at].height;
  const order = [...boxes.keys()].sort((a, b) => (b === chosen) - (a === chosen) || area(b) - area(a));
  for (const at of order) {
    let best = null;
    let least = at === chosen ? Infinity : Number.EPSILON;
    for (const place of placesAround(boxes[at], sizes[at], bounds)) {
      const covered = taken.reduce((sum, other) => sum + overlap(place, other), 0);
      if (covered < least) [best, least] = [place, covered];
    }
    places[at] = best;
    if (best) taken.push(best);
  }
  return places;
}
