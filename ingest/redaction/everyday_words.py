"""Words that are no names although they stand with a capital: where a sentence begins, in a heading, on a box of pills.

From general knowledge, in lower case; endings tell the rest. Left out: words that are mostly names.
"""

from ingest.redaction.first_names import FIRST_NAMES

WORDS = frozenset(
    """
    april apt apartment suite flat box street road avenue ave lane salesperson spokesperson european union a able
    about above accept according account accounts across act action activity actually add address addresses adult
    adventure advice affordable after again against age agency ago agree ah air album alert all allergic allergies
    allergy almost alone along already alright also although always am amazing ambulance among amount an and anemia
    angry animal animation another answer answers antibiotic antibiotics any anybody anyone anything anyway app
    appointment appreciate are area arm around art article articles as asap ask asked asking asleep aspirin
    assistant asthma at attack aunt author autumn available avoid away awful baby back bad bank bar based be
    beautiful became because become bed been before began begin behind being believe below best better between big
    bill billing bit black bleeding block blood blue body bone book born boss bot both bottle box boy brain bread
    break breast breath breathing bridge bring broken brother building burn business busy but butter buy by bye call
    called calling came can cancel cancer candidate cannot car card care careful case cases cause causes center
    central centre certain chair chance change charge chat check chest child children choose christmas church
    circumstances city class clean clear clearly clinic close cold college come comedy comes comfortable coming
    comment common company complete completely completion computer conference confirm congratulations consider
    contact context continue contrary cool correct cost cough could country couple course court cover covid crazy
    create credit cross cry cup cure customer cut dad daily damage dark data date daughter day days dead deaf dear
    death december decide deep definitely dental dentist depends depression desk despite details devil diabetes
    diabetic did die diet different difficult dinner direct directed disc disease do doctor doctors does dog doing
    done door dose doses doubt down dr drama draw dream drink drive driver drug drugs dry due during dvd each ear
    early earth easily east easter easy eat eating echo edit education effect effects either else email emergency
    employment end energetic enough entire error especially etc even evening event ever every everybody everyone
    everything everywhere evil exactly example excellent except excuse exercise experience explain extra eye eyes
    face fact failed false family fan fantastic far fast father fatigue fault favorite fax fear february feedback
    feel feeling feelings feet fever few fiber figure file fill film final finally find fine finish fire first fit
    five fix floor flu follow food foot for force forever forget form forward found four free fresh friday friend
    friends from front full fun funny further future game gave gender general get gets getting girl give given gives
    giving glad go god goes going gold gone good goodbye google got government great green group grow guess guide
    guy guys had hair half hand hands happen happened happy hard has hate have having he head headache headaches
    health healthy hear heard heart heat heavy hell hello help helped helpful helps hence her here hers herself hey
    hi high him himself his history hiv hobbits hold home honest honestly hope hopefully horrible hospital hot hour
    hours house how however huge human hungry hurt hurts husband i ibuprofen idea if ill illness immediately
    important in include incorrect indeed infant infection info information initially inject injury insert inside
    instead insulin insurance internet into is issue it its itself january job join july june just keep kept key kid
    kidney kids kill killed kind king kitchen knee know known la lab lack lady language large last late later laugh
    law leaflet learn least leave led left leg legal less let letter level life light like likely limit line lines
    list listed listen little live lived liver lives living local lol long longer look looking looks lord lose lost
    lot lots love low lower lung lungs machine made magazine mail main make makes making male man manager many march
    market married mate matter may maybe me meal mean meaning means medical medication medications medicine
    medicines meet meeting members men mental merry message met metformin middle midwife might migraine mild milk
    million mind mine minute minutes miss mission missing mistake mobile mom moment monday money month months more
    morning most mother mouth move moved movie much mum muscle music must my myself mystery name named nation nausea
    near nearly neck need needed needs negative nerve never nevertheless new news next nhs nice night no nobody non
    none nope nor normal normally north nose not note nothing november now number numbers nurse nutrition obese
    october of off offer office official oh ok okay old on once one ones only onto open operation opinion option
    options or order original orthodox other others otherwise ouch our ours out outside over overall own page pain
    paid paper paracetamol parent parents part party passport past patient patients pay peace people per perfect
    perhaps period person personal pharmacist pharmacy phone photo phrase physical pick picture piece pill pills
    place plan plane plant play please plus pm point police policy poor pope popular possible possibly post posted
    practice pray preferred pregnancy pregnant prescription present president press pressure pretty previously
    primary private probably problem problems producer product professional program project proud provide public
    pull pulse put queen question questions quick quickly quit quite radio rain random rash rather reach read
    reading ready real really reason recently record red refund regarding regular regularly rehab remember reply
    report request rest restaurant result results return review rib rich ride right ring road rock room round
    rubbish rule run running sad safe safety said same sat saturday save saw say saying says school science score
    scream search season second secondary secret section see seek seem seems seen select self send sense sent
    sentence sept september serious seriously serve server service set seven several severe sex shall shame she
    shell short should show shower shows sick side sign similar simple simply since single sir sister site sit six
    skin sleep slow slowly small smart smoke smoking so social society software some somebody someone something
    sometimes somewhere son song soon sore sorry sort sound sounds source south speak special specific spring staff
    stage star start started state statement states stay step still stomach stop store stories story straight
    strange street stress stroke strong student study stuff stupid style subject subscription such sugar suggest
    summer sun sunday super support suppose sure surely surgery surprise suspense sweet swelling swollen symptom
    symptoms system table take taken takes taking talk talking tax team tell temperature ten terrible test tests
    text than thank thanks that the their them then there therefore these they thing things think third this those
    though thought thoughts three throat through thumb thumbs thursday thus ticket tie time times tip tired title to
    today together told tomorrow tone tongue tonight too took tooth top total touch tough toward town track traffic
    train transfer travel treat treatment tried trip true truly trust truth try trying tuesday tumor turn tv twice
    two type typically ugh uncle under understand unfortunately unit unless unlike until up update upon urgent urine
    us use used useful useless user users usually vaccine version very victim view viral visa virus visit vitamin
    voice vomiting wait walk wall want wants war warm warning was wash waste watch water way we weak weather website
    wednesday week weekend weeks weight weird welcome well went were west what whatever whats when where whereas
    whether which while white who whoever whole whom whose why wife will wind window winter wish with within without
    woman women wonder wonderful word words work worked worker working works world worried worry worse worst worth
    would wound wow write writing written wrong x-ray yeah year years yellow yep yes yesterday yet you young your
    yours yourself youth zero mr mrs ms prof professor doc pdf http https www html json api url faq id ids iban ssn
    mrn ip ai gpt chatgpt llm am pm est gmt utc bmi bp adhd ptsd std sti uti ibs copd ecg ekg mri ct usa uk eu un
    who cdc fda dna rna gp er icu ed a&e hr cv ceo usd eur sql and/or q a b c d e f g h j k l m n o p r s t v w x y
    z ii iii iv alzheimer alzheimer's parkinson parkinson's crohn crohn's hodgkin hodgkin's down's cushing's graves
    hashimoto's sjogren's tourette's asperger's raynaud's huntington's lyme botox caesarean braille celsius
    fahrenheit english tylenol advil motrin aleve nurofen panadol calpol benadryl zyrtec claritin allegra xanax
    valium ativan klonopin prozac zoloft lexapro paxil celexa wellbutrin cymbalta effexor adderall ritalin concerta
    vyvanse ambien viagra cialis lipitor crestor zocor plavix coumadin eliquis xarelto lasix norvasc metoprolol
    nexium prilosec zantac pepcid imodium augmentin amoxil zithromax bactrim cipro flagyl keflex ventolin symbicort
    advair flovent singulair prednisone synthroid levothyroxine ozempic wegovy mounjaro trulicity januvia jardiance
    farxiga humira enbrel remicade botox accutane lamictal depakote lithium seroquel abilify zyprexa risperdal
    gabapentin lyrica tramadol codeine morphine oxycodone percocet vicodin suboxone methadone naloxone narcan
    naproxen cetirizine omeprazole loperamide plan-b mirena google facebook twitter instagram youtube whatsapp
    windows android iphone apple amazon microsoft spotify netflix monday's today's yesterday's let's it's that's
    what's there's here's who's how's where's he's she's i'm i've i'll i'd don't doesn't didn't can't won't isn't
    aren't wasn't weren't couldn't wouldn't shouldn't haven't hasn't hadn't you're you've you'll we're we've we'll
    they're they've they'll ain't y'all
    """.split()  # noqa: SIM905 - a list of words reads as one
)
ENDINGS = (  # of words, hardly ever of names
    "tion", "tions", "sion", "ment", "ments", "ness", "ously", "able", "ible", "ology", "ologist", "itis", "osis",
    "emia", "pathy", "ectomy", "scopy", "aceous", "ism", "ics", "ical", "ically", "ively", "fully", "lessly",
    "edly", "ingly", "cillin", "mycin", "azole", "statin", "sartan", "prazole", "profen", "oxacin", "dipine",
    "olol", "azepam", "triptan", "tidine", "caine", "mab", "tinib", "vir", "ious", "ive", "ful", "less", "ship",
    "hood", "ward", "wards", "algia", "uria", "plegia", "trophy", "gram", "graphy", "meter", "ing", "ings",
    "ized", "ised", "ated", "rded", "cted", "nded", "ured", "ative",
)  # fmt: skip


def is_everyday(word: str) -> bool:
    """A word of the language or a drug, whatever its capitals."""
    low = word.lower().replace("’", "'")
    if low in FIRST_NAMES:
        return False
    if low in WORDS or low.removesuffix("'s") in WORDS or (len(low) > 5 and low.endswith(ENDINGS)):
        return True
    return "-" in low and all(map(is_everyday, low.split("-")))
