import java.nio.channels.FileChannel
import java.nio.charset.StandardCharsets
import java.nio.ByteBuffer
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardOpenOption

/** One run at a time writes into an output directory. The lock ends with the process that holds it, however that ends. */
class OutputLock {

    private static final String NAME = '.lock'

    // Open until the process ends: closing it would release the lock.
    private static FileChannel held

    /** Takes the directory for this run; returns why that is not possible, null if it was. */
    static synchronized String take(Path output) {
        final folder = output.resolve('pipeline_info')
        Files.createDirectories(folder)
        final file = folder.resolve(NAME)
        final channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)
        try {
            if (channel.tryLock() == null) {
                channel.close()
                return "--output: another run is writing into '${output}' (${holder(file)}); wait for its end or choose another directory".toString()
            }
        } catch (IOException refused) {
            // Some network file systems know no locks.
            channel.close()
            return null
        }
        channel.truncate(0)
        channel.write(ByteBuffer.wrap("process ${ProcessHandle.current().pid()} on ${host()}".getBytes(StandardCharsets.UTF_8)))
        channel.force(true)
        held = channel
        return null
    }

    private static String holder(Path file) {
        try {
            return file.toFile().getText('UTF-8').take(200).replaceAll(/\p{Cntrl}/, ' ') ?: 'unknown'
        } catch (IOException unreadable) {
            return unreadable.message
        }
    }

    private static String host() {
        try {
            return InetAddress.localHost.hostName
        } catch (UnknownHostException unnamed) {
            return 'an unnamed machine'
        }
    }
}
