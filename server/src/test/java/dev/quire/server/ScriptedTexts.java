package dev.quire.server;

import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.Refusal;
import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.TextEvent.TokenText;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.TextStream;
import dev.quire.scheduler.Usage;
import dev.quire.server.openai.TextSource;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * An engine without a model: choice c of a prompt says the letters a, b, c … shifted by c, a letter a token, as many as
 * were asked for. It can refuse, fail, hold its tokens back, or talk without end.
 */
final class ScriptedTexts implements TextSource {
    /** Started and not closed. */
    final AtomicInteger open = new AtomicInteger();

    final AtomicInteger started = new AtomicInteger();
    final AtomicInteger deltas = new AtomicInteger();
    final Queue<TextRequest> requests = new ConcurrentLinkedQueue<>();
    /** Who has read the scores of prompts. */
    final Set<Thread> scoreReaders = ConcurrentHashMap.newKeySet();

    final CountDownLatch someoneWaits = new CountDownLatch(1);
    volatile @Nullable Refusal refusal;
    volatile int refuseAfter;
    volatile int failAfter = Integer.MAX_VALUE;
    volatile int holdAfter = Integer.MAX_VALUE;
    volatile @Nullable String endless;

    @Override
    public Start start(TextRequest request) {
        Refusal refused = refusal;
        if (refused != null && started.get() >= refuseAfter) {
            return new Start.Refused(refused);
        }
        requests.add(request);
        started.incrementAndGet();
        open.incrementAndGet();
        return new Start.Started(new Scripted(request));
    }

    private final class Scripted implements TextStream {
        private final TextRequest request;
        private final ArrayDeque<TextEvent> script = new ArrayDeque<>();
        private volatile boolean closed;
        private volatile Runnable onNews = () -> {};
        private int said;

        Scripted(TextRequest request) {
            this.request = request;
            if (request.params().promptLogprobs()) {
                script.add(new TextEvent.Prompt(scores(request.prompt())));
            }
            int count = Math.min(request.maxTokens(), 200);
            for (int k = 0; k < Math.max(1, count); k++) {
                for (int c = 0; c < request.n(); c++) {
                    FinishReason finish = k >= count - 1 ? FinishReason.LENGTH : null;
                    List<TokenText> tokens = count == 0 ? List.of() : List.of(token('a' + (k + c) % 26, 0.5f + k));
                    String text = count == 0 ? "" : tokens.getFirst().text();
                    script.add(new TextEvent.Delta(c, text, tokens, finish, null));
                }
            }
            script.add(new TextEvent.Done(new Usage(request.prompt().length, count * request.n(), 0)));
        }

        private List<TokenText> scores(int[] ids) {
            return new AbstractList<>() {
                @Override
                public TokenText get(int i) {
                    scoreReaders.add(Thread.currentThread());
                    return token(ids[i], i == 0 ? Float.NaN : 2);
                }

                @Override
                public int size() {
                    return ids.length;
                }
            };
        }

        private TokenText token(int id, float loss) {
            String text = Character.toString(id);
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            boolean scored = request.params().logprobs() >= 0;
            List<TokenText> top = new ArrayList<>();
            for (int i = 0; i < request.params().logprobs(); i++) {
                String other = Character.toString('A' + i);
                top.add(new TokenText('A' + i, other.getBytes(StandardCharsets.UTF_8), -0.25f - i, List.of()));
            }
            return new TokenText(id, bytes, scored && !Float.isNaN(loss) ? -loss : Float.NaN, top);
        }

        @Override
        public @Nullable TextEvent poll() {
            if (closed) {
                return new TextEvent.Failed("aborted");
            }
            if (said >= failAfter) {
                return new TextEvent.Failed("The step failed.");
            }
            if (said >= holdAfter) {
                someoneWaits.countDown();
                return null;
            }
            said++;
            deltas.incrementAndGet();
            String talk = endless;
            return talk != null ? new TextEvent.Delta(0, talk, List.of(), null, null) : script.remove();
        }

        @Override
        public void onNews(Runnable action) {
            onNews = action;
        }

        @Override
        public void close() {
            synchronized (this) {
                if (!closed) {
                    closed = true;
                    open.decrementAndGet();
                }
            }
            onNews.run();
        }
    }
}
