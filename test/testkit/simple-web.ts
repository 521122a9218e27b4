/** The sample web application: one page that says which replica answered, and /healthz. busybox, nothing else. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildImage, busyboxFiles } from './image.ts'

export const simpleWebImage = 'cloudless.local/simple-web:1'

/**
 * A shell is its first process: it ends on SIGTERM at once, which httpd as first process would not.
 * The page is made at start, so that it can name the replica.
 */
const startScript = `
trap 'kill $!; exit 0' TERM INT
mkdir -p /tmp/www
cat >/tmp/www/index.html <<END
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Cloudless</title>
<h1>It runs.</h1>
<p>This page comes from replica <b>$(hostname)</b>.</p>
</html>
END
echo ok >/tmp/www/healthz
echo "serving on port 8080 as $(hostname)"
httpd -f -v -p 8080 -h /tmp/www &
wait $!
`

/** Writes the image below `directory`, an OCI layout as tar; its path. */
export async function buildSimpleWeb(directory: string): Promise<string> {
  const path = join(directory, 'simple-web.tar')
  const image = buildImage({
    name: simpleWebImage,
    ...(await busyboxFiles()),
    directories: ['/tmp'],
    config: {
      Cmd: ['/bin/sh', '-c', startScript],
      Env: ['PATH=/bin'],
      ExposedPorts: { '8080/tcp': {} },
    },
  })
  await writeFile(path, image.archive)
  return path
}
