export function eventHandlers(_events: unknown) {
  return {
    listEvents: (_r: unknown) => ({}),
    async *watchEvents(_r: unknown, _c: unknown): AsyncGenerator<{}> {},
  }
}
