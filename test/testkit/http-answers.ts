import { get } from 'node:http'

/** Whether the address answers 200 within a second. */
export function httpAnswers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get(url, { timeout: 1000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.on('timeout', () => call.destroy())
    call.on('error', () => resolve(false))
  })
}
