"""In which of the older encodings a text is that is no UTF-8. Runs in a confined child.

Encodings of two bytes a character are told by how usual the characters are that come out; those of one byte
by charset-normalizer, which looks at how words of a language are put together; rarer ones by how likely what
comes out are words at all.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from typing import BinaryIO, Final

from labbox.files.viewing import apart
from labbox.files.viewing.encodings import BY_CODEC, LATIN1, Encoding, guess
from labbox.files.viewing.source import Source

SAMPLE: Final = 64 << 10  # bytes that are looked at
_OFTEN: Final = frozenset("äöüßéèàáåçñóøêâôãõışğоеаинтсрвлкмдαοειτνσηρπκλυςμάόέίήויהלאתרנמבשםןاليمونرتبةعدس")
_SIGNS: Final = frozenset("°µ§²³–—’‘“”„…·×№«»€")
_FINALS: Final = frozenset("ךםןףץ")  # Hebrew letters as they stand at the end of a word
_LEAST: Final = 0.5  # how usual the characters must be on the whole
PAIRS: Final = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_SINGLE: Final = ("cp1252", "cp1251", "koi8_r", "cp866", "cp1250", "cp1253", "cp1256", "mac_roman")
_RARER: Final = ("cp1255", "cp1256", "mac_roman", "cp1254")  # which charset-normalizer takes for others
_CLEARLY: Final = 0.02

# The characters that are met most, with those of people's tables: names, sexes, ages, dates, units.
_JAPANESE: Final = frozenset(
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員"
    "九入選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治"
    "度務強気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派"
    "点教報済書府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引"
    "使求所次水半品昨論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談"
    "能無再位置企真流格有疑口過局少放税検藤町常校料沢裁状工建語球営空職証土与急止送援供可役構木割聞身費付施切由説"
    "転食比難防補車優夫研収断井何南石足違消境神番規術護展態導備宅害配副算視条幹究育席乗述残想線率質念待試験濃温被"
    "齢考佐鈴渡伊小林加藤吉太郎美恵良号室圧単値幅速量"
)
_SIMPLIFIED: Final = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所"
    "然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与"
    "长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制"
    "身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题"
    "活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决"
    "治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术"
    "领共确传师观清今切院让识候带导争运姓年龄温度浓样编号单宽压频率男备注值速伟芳李刘陈杨赵黄周吴实验"
)
_TRADITIONAL: Final = frozenset(
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所"
    "然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與"
    "長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制"
    "身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題"
    "活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指許統區保至隊形社便空決治"
    "展科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取格望覺術領共確"
    "傳師觀清今切院讓識候帶導爭運姓齡溫濃編號單位寬壓頻率男備註值速陳林黃李王劉實驗"
)
_KOREAN: Final = frozenset(
    "이다는의에하고가을지를기로한사은도어리자시인아서나대그해수일라정들부면보만주스전과장것제원여상구안거트오적공화당우"
    "성국생대무조용발신간온별나름김박최철민영희남녀년월시험재료농명번호위치값단평균표준차크높낮음량속압력험결실측날짜령"
    "소내선동연경진입출생경관계학과교문물미분비산설세심아양업역외유음임있장저점중직질집체초추출치키타터통투파판평포품필"
    "함행향현형회후히"
)
_USUAL: Final = {
    "cp932": _JAPANESE, "euc_jp": _JAPANESE, "gb18030": _SIMPLIFIED, "big5": _TRADITIONAL, "cp949": _KOREAN,
}  # fmt: skip


async def detected(source: Source, known: Encoding) -> Encoding:
    """The encoding of a text; `known`: what its first bytes say, doubted only where it is a guess."""
    if known is not LATIN1:
        return known
    return BY_CODEC[await apart.run(source, _look, (), str, imports=imports)]


def imports() -> None:
    """What the child needs, which can open nothing later."""
    import charset_normalizer

    charset_normalizer.from_bytes("größer".encode("cp1252"), cp_isolation=list(_SINGLE))
    for codec in BY_CODEC:
        codecs.lookup(codec)


def _look(file: BinaryIO, _tell: Callable[[object], None]) -> str:
    return detect(file.read(SAMPLE)).codec


def detect(sample: bytes) -> Encoding:
    """The encoding of the beginning of a text; Latin-1 where nothing else is likelier."""
    simple = guess(sample)
    if simple is not LATIN1:
        return simple
    odd = b"\n".join(line for line in re.split(rb"[\r\n]+", sample) if not line.isascii())
    scores = {codec: usualness(odd, codec) for codec in PAIRS}
    best = max(scores, key=scores.__getitem__)
    if scores[best] >= _LEAST:
        return BY_CODEC[best]
    found = _of_one_byte(odd)
    most = likelihood(BY_CODEC[found].decode(odd)) + _CLEARLY
    for codec in _RARER:
        if (points := likelihood(BY_CODEC[codec].decode(odd))) > most:
            found, most = codec, points
    return BY_CODEC[found]


def usualness(data: bytes, codec: str) -> float:
    """How usual the characters are that come out, from 0 to 1; 0 where something is no character."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    try:
        text = decoder.decode(data)  # a character that is cut off at the end does not count
    except UnicodeDecodeError:
        return 0.0
    usual = _USUAL[codec]
    points, count = 0.0, 0
    for one in text:
        if one.isascii() or "\u3000" <= one <= "\u303f" or "\uff00" <= one <= "\uff60":
            continue  # signs and wide letters are in all of them
        count += 1
        if one in usual:
            points += 1
        elif "\u3040" <= one <= "\u30ff":
            points += 1 if usual is _JAPANESE else 0
        elif "\uff61" <= one <= "\uff9f":  # narrow kana: one byte each, which are letters of Latin-1 too
            points += 0.3 if usual is _JAPANESE else 0
        elif "\uac00" <= one <= "\ud7a3":
            points += 0.3 if usual is _KOREAN else 0
        elif "\u4e00" <= one <= "\u9fff":
            points += 0.25 if usual is not _KOREAN else 0
    return points / count if count else 0.0


def _of_one_byte(data: bytes) -> str:
    import charset_normalizer

    best = charset_normalizer.from_bytes(data[:SAMPLE], cp_isolation=list(_SINGLE)).best()
    if best is None or best.encoding not in BY_CODEC:
        return LATIN1.codec
    if best.encoding == "cp1250" and LATIN1.decode(data) == str(best):
        return LATIN1.codec
    return str(best.encoding)


def likelihood(text: str) -> float:
    """How much words look like words, at most 1."""
    points, count = 0.0, 0
    before = "\n"
    for at, one in enumerate(text):
        if not one.isascii():
            count += 1
            points += _points(before, one, text[at + 1 : at + 2])
        before = one
    return points / max(1, count)


def _points(before: str, one: str, behind: str) -> float:
    if not one.isalpha():
        joined = before.isalpha() and behind.isalpha()
        return 0.3 if one in _SIGNS and not joined else -1.0
    script = _script(one)
    points = 1.0 if one.lower() in _OFTEN else 0.7
    if before.isalpha():
        if _script(before) != script:
            points -= 1.0
        elif one.isupper() and before.islower():
            points -= 0.8
        elif script == "LATIN" and not before.isascii():
            points -= 0.4
        elif one.isupper():
            points -= 0.3
    if script == "LATIN" and one.isupper() and behind.isalpha() and before.isalpha() and behind.islower():
        points -= 0.3
    if one in _FINALS and behind.isalpha():
        points -= 1.0
    return points


def _script(one: str) -> str:
    return "LATIN" if one.isascii() else unicodedata.name(one, "").partition(" ")[0]
