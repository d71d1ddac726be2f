/** What has a moment at which it is due; the heap writes down where it stands, so that it is found without searching. */
export interface DueItem {
  /** In milliseconds since the Unix epoch. */
  dueMs: number
  /** The item's index in its heap; undefined outside of it. */
  place: number | undefined
}

/** A binary heap: the item that is due soonest is first, and any can be moved or taken out in logarithmic time. */
export class DueHeap<Item extends DueItem> {
  readonly #items: Item[] = []

  /** The item that is due soonest. */
  get soonest(): Item | undefined {
    return this.#items[0]
  }

  /** Puts an item in, or moves it to where its new moment belongs. */
  put(item: Item, dueMs: number): void {
    item.dueMs = dueMs
    item.place ??= this.#items.push(item) - 1
    this.#settle(item, item.place)
  }

  /** Takes an item out, if it is in. */
  remove(item: Item): void {
    const { place } = item
    if (place === undefined) return
    item.place = undefined
    const last = this.#items.pop()!
    if (last !== item) this.#settle(last, place)
  }

  /** Moves an item up or down from a place until its parent is not later and its children are not sooner. */
  #settle(item: Item, from: number): void {
    let place = from
    for (let parent = (place - 1) >> 1; place > 0; parent = (place - 1) >> 1) {
      if (this.#items[parent]!.dueMs <= item.dueMs) break
      this.#set(this.#items[parent]!, place)
      place = parent
    }
    for (let child = this.#soonerChild(place); child !== undefined; child = this.#soonerChild(place)) {
      if (this.#items[child]!.dueMs >= item.dueMs) break
      this.#set(this.#items[child]!, place)
      place = child
    }
    this.#set(item, place)
  }

  #soonerChild(place: number): number | undefined {
    const left = 2 * place + 1
    if (left >= this.#items.length) return undefined
    const right = left + 1
    return right < this.#items.length && this.#items[right]!.dueMs < this.#items[left]!.dueMs ? right : left
  }

  #set(item: Item, place: number): void {
    this.#items[place] = item
    item.place = place
  }
}
