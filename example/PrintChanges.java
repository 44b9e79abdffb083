import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints stitched changes straight from the topic `.changes`, as an example of a consumer.
 *
 * <p>It needs kafka-clients and jackson-databind: {@code java -cp 'jars/*' PrintChanges.java
 * BROKERS PREFIX [--once]}.
 *
 * <p>A consumer may get a change more than once (the stages repeat after a crash) and never misses
 * one. What it does with a change has to be safe to repeat: this one keeps the ids it has seen, a
 * real one would write by id. Where it stands is committed only after the work is done.
 */
public class PrintChanges {
    private static final int REMEMBERED = 100_000;
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("group.id", "print-changes-java");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        boolean once = arguments.length > 2 && arguments[2].equals("--once");
        Set<String> seen = remembering();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(arguments[1] + ".changes"));
            do {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofSeconds(1));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    JsonNode change = JSON.readTree(record.value());
                    if (seen.add(change.get("id").asText())) {
                        System.out.println(described(change));
                    }
                }
                consumer.commitSync();
            } while (!once || !isAtEnd(consumer));
        }
    }

    /** Says about a change: time, who, what, which columns from what to what. */
    private static String described(JsonNode change) {
        Map<String, JsonNode> columns = new LinkedHashMap<>();
        change.get("before").fields().forEachRemaining(each -> columns.put(each.getKey(), null));
        change.get("after").fields().forEachRemaining(each -> columns.put(each.getKey(), null));
        List<String> differences = new ArrayList<>();
        for (String name : columns.keySet()) {
            JsonNode before = valueOf(change.get("before"), name);
            JsonNode after = valueOf(change.get("after"), name);
            if (!before.equals(after)) {
                differences.add(name + ": " + before + " -> " + after);
            }
        }
        return String.join(
                " ",
                change.get("committed_at").asText(),
                change.get("context").path("user_id").asText("somebody"),
                change.get("operation").asText(),
                change.get("schema").asText() + "." + change.get("table").asText(),
                change.get("primary_key").asText() + ":",
                String.join(", ", differences));
    }

    private static JsonNode valueOf(JsonNode row, String name) {
        return row.has(name) ? row.get(name) : NullNode.getInstance();
    }

    private static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
        Map<?, Long> ends = consumer.endOffsets(consumer.assignment());
        return !ends.isEmpty()
                && consumer.assignment().stream()
                        .allMatch(each -> consumer.position(each) >= ends.get(each));
    }

    private static Set<String> remembering() {
        return Collections.newSetFromMap(
                new LinkedHashMap<>() {
                    @Override
                    protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
                        return size() > REMEMBERED;
                    }
                });
    }
}
